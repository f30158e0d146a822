"""What measuring costs each test before any repetition, beside the other ways of watching memory.

    python benchmarks/overhead.py                      # 400 trivial and 200 mixed tests, 7 interleaved rounds
    python benchmarks/overhead.py --tests 1000 --rounds 15 --json overhead.json

Every round runs every tool once, in an order that is turned by one each time, in a process of its own with no other
plugin loaded. Times are taken from the setup of one test to that of the next, so that reporting is in them and
the start of the interpreter is not. A test is compared with itself under bare pytest in the same round: ``added`` is
the median of all those differences, ``mean`` their mean (what comes rarely, such as a collection, shows only there).
CPU is that of the process. ``run`` is the whole process, imports and report included, as a ratio to bare pytest.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

GOAL = 200e-6  # seconds added to a trivial test, at the median

_CLOCK = """
import json, os, time
from array import array
import pytest

wall, cpu = array("d", bytes(8 * 100_000)), array("d", bytes(8 * 100_000))
count = 0

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    global count
    wall[count], cpu[count] = time.perf_counter(), time.process_time()
    count += 1

def pytest_sessionfinish():
    with open(os.environ["OVERHEAD_TIMES"], "w") as file:
        json.dump([list(wall[:count]), list(cpu[:count])], file)
"""

_TRIVIAL = "def test_{n}(): assert {n} + 1 == {n1}\n"

# What tests of services do, a kind a line of the table below; all kinds take turns.
_MIXED_HEAD = """
import asyncio, json, logging, threading
import pytest

log = logging.getLogger("mixed")

@pytest.fixture
def rows():
    return [{"id": i, "tags": [str(i)] * 3} for i in range(500)]

def build(n):
    return {i: [object() for _ in range(10)] for i in range(n)}
"""
_MIXED = (
    "def test_{n}(): assert len(build(300)) == 300\n",
    "def test_{n}(tmp_path): assert (tmp_path / 'a').write_text('x' * 1000) == 1000\n",
    "def test_{n}(caplog):\n    log.warning('number %d', {n})\n    assert caplog.records\n",
    "def test_{n}():\n    t = threading.Thread(target=build, args=(20,))\n    t.start()\n    t.join()\n",
    "def test_{n}(rows): assert json.loads(json.dumps(rows)) == rows\n",
    "@pytest.mark.parametrize('k', [1])\ndef test_{n}(k, monkeypatch, capsys):\n"
    "    monkeypatch.setenv('K', str(k))\n    print(k)\n    assert capsys.readouterr().out\n",
    "def test_{n}(): assert asyncio.run(asyncio.sleep(0, 1)) == 1\n",
    "def test_{n}(): assert sum(i * i for i in range(20_000))\n",
)


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to run a suite: arguments and environment beyond bare pytest."""

    name: str
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


BARE = Tool("bare pytest")
TOOLS = (
    BARE,
    Tool("coresys observe", ("-p", "coresys", "--coresys-observe", "--coresys-repeat", "0")),
    Tool("coresys budget", ("-p", "coresys", "--coresys-budget", "--coresys-repeat", "0")),
    Tool("pytest-memray", ("-p", "memray", "--memray")),
    Tool("tracemalloc on", (), {"PYTHONTRACEMALLOC": "1"}),
)


@dataclass(frozen=True, slots=True)
class Times:
    """One run of one suite: seconds of each test on both clocks, and of the whole process."""

    wall: list[float]
    cpu: list[float]
    run_wall: float
    run_cpu: float


def main() -> int:
    args = _arguments()
    tools = [tool for tool in TOOLS if "memray" not in tool.name or importlib.util.find_spec("pytest_memray")]
    results = {}
    for suite, count in (("trivial", args.tests), ("mixed", args.tests // 2)):
        with tempfile.TemporaryDirectory(prefix="overhead-") as name:
            folder = Path(name)
            _write(folder, suite, count)
            times = _rounds(folder, tools, args.rounds)
        results[suite] = [_summary(tool, times) for tool in tools]
        print("\n".join(_table(suite, count, args.rounds, results[suite])), flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    worst = max(float(row["added"]) for row in results["trivial"] if str(row["tool"]).startswith("coresys"))
    print(f"coresys adds {worst * 1e6:.0f} us to a trivial test at the median; the goal is {GOAL * 1e6:.0f} us")
    return 1 if worst > GOAL else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=int, default=400, metavar="N", help="trivial tests; half as many mixed ones")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="runs of each tool")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures to PATH, in seconds")
    return parser.parse_args()


def _write(folder: Path, suite: str, count: int) -> None:
    kinds = _MIXED if suite == "mixed" else (_TRIVIAL,)
    tests = (kinds[n % len(kinds)].replace("{n}", str(n)).replace("{n1}", str(n + 1)) for n in range(count))
    (folder / f"test_{suite}.py").write_text((_MIXED_HEAD if suite == "mixed" else "") + "".join(tests))
    (folder / "conftest.py").write_text(_CLOCK)
    (folder / "pytest.ini").write_text("[pytest]\n")


def _rounds(folder: Path, tools: list[Tool], rounds: int) -> dict[str, list[Times]]:
    times: dict[str, list[Times]] = {tool.name: [] for tool in tools}
    for tool in tools:
        _run(folder, tool)  # bytecode and the page cache, for each the same
    for number in range(rounds):
        turn = number % len(tools)
        for tool in tools[turn:] + tools[:turn]:
            times[tool.name].append(_run(folder, tool))
    return times


def _run(folder: Path, tool: Tool) -> Times:
    target = folder / "times.json"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_", "CORESYS_"))}
    kept |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OVERHEAD_TIMES": str(target), "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tool.arguments]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env={**kept, **tool.environment}, stdout=subprocess.PIPE)
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{tool.name}: exit status {process.returncode}\n{output.decode(errors='replace')[-2000:]}")
    wall, cpu = json.loads(target.read_text())
    return Times(
        wall=list(_steps(wall)),
        cpu=list(_steps(cpu)),
        run_wall=time.perf_counter() - started,
        run_cpu=usage.ru_utime + usage.ru_stime,
    )


def _steps(moments: list[float]) -> Iterator[float]:
    """Seconds from each test to the next; the last has none after it."""
    return (later - earlier for earlier, later in zip(moments, moments[1:], strict=False))


def _summary(tool: Tool, times: dict[str, list[Times]]) -> dict[str, float | str]:
    pairs = list(zip(times[tool.name], times[BARE.name], strict=True))
    wall = [ours - bare for run, base in pairs for ours, bare in zip(run.wall, base.wall, strict=True)]
    cpu = [ours - bare for run, base in pairs for ours, bare in zip(run.cpu, base.cpu, strict=True)]
    return {
        "tool": tool.name,
        "test": median(median(run.wall) for run, _ in pairs),
        "added": median(wall),
        "added_mean": median(fmean(run.wall) - fmean(base.wall) for run, base in pairs),
        "added_cpu": median(cpu),
        "added_cpu_mean": median(fmean(run.cpu) - fmean(base.cpu) for run, base in pairs),
        "tests_ratio": median(sum(run.wall) / sum(base.wall) for run, base in pairs),
        "run_ratio": median(run.run_wall / base.run_wall for run, base in pairs),
        "run_cpu_ratio": median(run.run_cpu / base.run_cpu for run, base in pairs),
    }


def _table(suite: str, count: int, rounds: int, rows: list[dict[str, float | str]]) -> list[str]:
    head = ("us a test", "added us", "mean", "CPU us", "CPU mean", "tests x", "run x", "run CPU x")
    lines = [f"{count} {suite} tests, {rounds} rounds", f"{'':<18}" + "".join(f"{name:>11}" for name in head)]
    for row in rows:
        tool, *figures = row.values()
        micro = [f"{float(figure) * 1e6:>11.0f}" for figure in figures[:5]]
        ratios = [f"{float(figure):>11.2f}" for figure in figures[5:]]
        lines.append(f"{tool:<18}" + "".join(micro + ratios))
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(main())
