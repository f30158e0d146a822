"""What an isolated environment costs a test: the ``coresys`` fixture beside a bare fixture of the same shape.

    python benchmarks/fixtures.py                     # 1,000 tests of each, serial and with -n 2
    python benchmarks/fixtures.py --tests 200 --json fixtures.json

Each test leases a buffer, fires a transition and runs a task in its environment; its twin with the bare fixture does
nothing, and its fixture yields an object. Both kinds take turns in one run, in processes with no other plugin loaded.
Times are of the calls of the coordinator (``open``, ``verify``, ``close``), also as processor time of the process, and
of the whole setup and teardown phases of pytest for both kinds: the bare one's tail says how busy the machine is. Exit
status 1 when setup, verification and teardown together take 17 ms or more in one of a hundred (aims: 5, 2, 10).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

GOAL = 17e-3  # seconds, p99 of all three together
AIMS = {"setup": 5e-3, "verification": 2e-3, "teardown": 10e-3}

_SUITE = """
import json, os, time
import pytest
from coresys.coordinators.testing import TestingCoordinator
from coresys.system_records import StateDefinition

DOOR = StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"),))
TIMES = {}

def timed(name):
    call = getattr(TestingCoordinator, name)
    def run(self, *given):
        began, cpu = time.perf_counter(), time.process_time()
        try:
            return call(self, *given)
        finally:
            TIMES.setdefault(name, []).append(time.perf_counter() - began)
            TIMES.setdefault(f"cpu {name}", []).append(time.process_time() - cpu)
    setattr(TestingCoordinator, name, run)

for name in ("open", "verify", "close"):
    timed(name)

class Bare:
    pass

@pytest.fixture
def bare(request):
    yield Bare()

@pytest.mark.parametrize("n", range(COUNT))
def test_environment(coresys, testing_coordinator, n):
    coresys.state.define("door", DOOR)
    coresys.state.fire("door", "push")
    with coresys.resources.lease(4096, owner="web") as view:
        view[0] = 1
    assert coresys.threads.submit(pow, 2, 5).result() == 32
    assert testing_coordinator.verify(coresys.name.removeprefix("tests/")).left == ()

@pytest.mark.parametrize("n", range(COUNT))
def test_bare(bare, n):
    assert n + 1 > n
"""

_CONFTEST = """
import json, os

PHASES = {}

def pytest_collection_modifyitems(items):  # by turns
    half = len(items) // 2
    items[:] = [each for pair in zip(items[:half], items[half:]) for each in pair]

def pytest_runtest_logreport(report):
    if report.when != "call":
        kind = "environment" if "test_environment" in report.nodeid else "bare"
        PHASES.setdefault(f"{kind} {report.when}", []).append(report.duration)

def pytest_sessionfinish(session):
    config = session.config
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        import test_fixtures
        name = getattr(config, "workerinput", {}).get("workerid", "main")
        with open(os.path.join(os.environ["FIXTURES_TIMES"], f"{name}.json"), "w") as file:
            json.dump({"calls": test_fixtures.TIMES, "phases": PHASES}, file)
"""


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of them is."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def measured(tests: int, workers: int) -> dict[str, list[float]]:
    """Times of every test, by what they are of; the calls of one test stand at one place of their lists."""
    with tempfile.TemporaryDirectory() as folder:
        suite, times = Path(folder, "suite"), Path(folder, "times")
        suite.mkdir()
        times.mkdir()
        Path(suite, "test_fixtures.py").write_text(f"COUNT = {tests}\n{_SUITE}", encoding="utf-8")
        Path(suite, "conftest.py").write_text(_CONFTEST, encoding="utf-8")
        Path(suite, "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
        plugins = "pytest_coresys.plugin" + (",xdist.plugin" if workers else "")
        environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": plugins}
        words = ["-q", "-p", "no:cacheprovider", *(["-n", str(workers)] if workers else [])]
        subprocess.run(
            [sys.executable, "-m", "pytest", *words],
            cwd=suite,
            env={**environ, "FIXTURES_TIMES": str(times)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        found: dict[str, list[float]] = {}
        for path in sorted(times.iterdir()):
            data = json.loads(path.read_text(encoding="utf-8"))
            for name, values in (*data["calls"].items(), *data["phases"].items()):
                found.setdefault(name, []).extend(values)
    for name, call in (("setup", "open"), ("verification", "verify"), ("teardown", "close")):
        found[name] = found.pop(call)
        found[f"cpu {name}"] = found.pop(f"cpu {call}")
    for prefix in ("", "cpu "):
        parts = (found[f"{prefix}{name}"] for name in AIMS)
        found[f"{prefix}together"] = [sum(each) for each in zip(*parts, strict=True)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=1000, help="tests of each kind (1000)")
    parser.add_argument("--json", metavar="PATH", help="write every time")
    given = parser.parse_args()
    everything, over = {}, False
    for workers in (0, 2):
        title = f"-n {workers}" if workers else "serial"
        found = everything[title] = measured(given.tests, workers)
        print(f"{title}: {len(found['together'])} tests with an environment, ms")
        phases = [f"{kind} {phase}" for kind in ("environment", "bare") for phase in ("setup", "teardown")]
        rows = [*AIMS, "together", "cpu together", *phases]
        for name in rows:
            p50, p99 = (quantile(found[name], share) * 1e3 for share in (0.5, 0.99))
            aim = {**AIMS, "together": GOAL}.get(name)
            beside = "" if aim is None else f"   {'goal' if name == 'together' else 'aim'} {aim * 1e3:g}"
            print(f"  {name:22} p50 {p50:8.3f}   p99 {p99:8.3f}{beside}")
        over = over or quantile(found["together"], 0.99) >= GOAL
    if given.json:
        Path(given.json).write_text(json.dumps(everything), encoding="utf-8")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
