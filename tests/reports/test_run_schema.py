"""Every run file is valid by the schema in the package, and the schema refuses what is not a run file."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coresys.budgets.model import Verdict
from coresys.records import Finding, Location
from pytest_coresys import wire
from pytest_coresys.reports import runfile
from pytest_coresys.reports.model import RunReport
from pytest_coresys.schema import run_schema

VALIDATOR = jsonschema.Draft202012Validator(run_schema())


def problems(run: object) -> list[str]:
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in VALIDATOR.iter_errors(run)]


def whole_run() -> dict[str, Any]:
    """A run with something in every list, as written and read again."""
    report = RunReport(mode="budget", workers=2, require_measured=["memory.*"], rootpath=".", profile="ci")
    report.collected(["never run"])
    over = Verdict(
        "memory.growth", "over", 4096.5, 0.0, "B", "error", "default", "repeated", 16.0, None, (4096.5, 4096.5)
    )
    odd = Verdict("acme.queue-depth", "over", math.inf, 3.0, "count", "warn", "marker", "screened", 0.0, reason="#412")
    off = Verdict("memory.peak", "not_measured", None, None, "B", "off", "default", "screened", 0.0)
    place = Location("app/cache.py", 41, "put", "+1.0 MiB")
    found = Finding("memory.growth", "error", "memory.growth: 4 KiB > 0 B", ("d",), (place,), (("global X", "dict"),))
    broken = Finding("coresys", "error", "unknown key")
    report.add_test(
        wire.test_to_dict(
            nodeid="t.py::a",
            outcome="failed",
            verdicts=[over, odd, off],
            findings=[found, broken],
            repetitions=6,
            worker="gw0",
            duration=1.25,
            started=1767225600.5,
        )
    )
    report.crashed("t.py::b")
    report.add_run_finding(
        wire.finding_to_dict(Finding("threads.leaked", "error", "s", owner="fixture pool (c.py:9)", tests=("t.py::a",)))
    )
    run = report.finish(1.5, noise_floor={"memory.growth": 32.0}, effort={"spent": 0.5, "share": 0.2, "notes": ["n"]})
    run["criteria"] = [
        {
            "id": "state.transition_time",
            "verdict": "within",
            "value": 0.0000021,
            "limit": 0.05,
            "comparison": "<",
            "unit": "s",
            "statistic": "p99",
            "samples": 10000,
            "histogram": {"bounds": [0.1], "counts": [1, 2]},
            "evidence": ["t.py::a"],
            "trend": [],
            "why": None,
        }
    ]
    run["soak"] = {"memory.growth_rate": {"times": [0], "values": [1.5], "interval": [0, 0]}}
    run["locks"] = {
        "nodes": [{"id": 1, "name": "pool", "site": "app/pool.py:31", "kind": "lock", "scope": "instance"}],
        "edges": [{"from": 1, "to": 1, "thread": "main", "sites": ["a", "b"], "gates": [3], "tests": ["t.py::a"]}],
        "cycles": [{"edges": [0], "tests": ["t.py::a"]}],
    }
    read: dict[str, Any] = json.loads(runfile.encoded(run))
    return read


def test_the_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(run_schema())
    assert run_schema() is not run_schema()


def test_a_run_with_everything_in_it_is_valid() -> None:
    assert problems(whole_run()) == []


def test_an_empty_run_is_valid() -> None:
    assert problems(json.loads(runfile.encoded(RunReport(mode="observe").finish(0)))) == []


Change = Callable[[dict[str, Any]], object]


def measure_of(run: dict[str, Any]) -> dict[str, Any]:
    measure: dict[str, Any] = run["tests"][1]["measures"]["memory.growth"]
    return measure


WRONG: dict[str, Change] = {
    "another schema": lambda run: run.update(schema=2),
    "an unknown part": lambda run: run.update(extra=1),
    "a missing part": lambda run: run.pop("locks"),
    "an unknown mode": lambda run: run["run"].update(mode="audit"),
    "a start without time zone": lambda run: run["run"].update(started="2026-01-01T00:00:00"),
    "a short commit": lambda run: run["run"].update(commit="abc123"),
    "an unknown outcome": lambda run: run["tests"][0].update(outcome="rerun"),
    "an unknown verdict": lambda run: run["tests"][0].update(verdict="fine"),
    "unmeasured without why": lambda run: run["tests"][0].update(why=None),
    "a measure without series": lambda run: measure_of(run).pop("series"),
    "a unit with blanks": lambda run: measure_of(run).update(unit="M B"),
    "a figure as text": lambda run: measure_of(run).update(value="4096"),
    "a boolean as figure": lambda run: measure_of(run).update(value=True),
    "over without a limit": lambda run: measure_of(run).update(limit=None, level="off"),
    "over without a figure": lambda run: measure_of(run).update(value=None),
    "within without a figure": lambda run: measure_of(run).update(value=None, verdict="within", why="w"),
    "unmeasured measure without why": lambda run: measure_of(run).update(verdict="not_measured", why=""),
    "a negative resolution": lambda run: measure_of(run).update(resolution=-1),
    "a key without a group": lambda run: run["tests"][1]["measures"].update(growth=measure_of(run)),
    "a finding of level fatal": lambda run: run["tests"][1]["findings"][0].update(level="fatal"),
    "a run finding without owner": lambda run: run["findings"][0].pop("owner"),
    "a line as text": lambda run: run["tests"][1]["findings"][0]["locations"][0].update(line="41"),
    "a count that is not whole": lambda run: run["summary"].update(over=1.5),
    "an interval of one end": lambda run: run["soak"]["memory.growth_rate"].update(interval=[0]),
    "an unknown kind of lock": lambda run: run["locks"]["nodes"][0].update(kind="latch"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_run_file_is_refused(name: str) -> None:
    run = whole_run()
    before = copy.deepcopy(run)
    WRONG[name](run)
    assert run != before
    assert problems(run)


def test_a_measure_may_carry_details_and_other_plugins_their_own_parts() -> None:
    run = whole_run()
    measure_of(run)["details"] = ["thread poller"]
    run["x_acme"] = run["tests"][0]["x_acme"] = {"anything": [1]}
    assert problems(run) == []


# -- real runs ------------------------------------------------------------------------------------------------------

SUITE = r"""
import os, threading, pytest
KEPT = []
def test_clean(): pass
def test_leak(): KEPT.append(bytearray(50_000))
def test_thread():
    event = threading.Event()
    thread = threading.Thread(target=event.wait, daemon=True, name="evil\n\x1b[31m<b>")
    thread.start()
    KEPT.append((thread, event))
@pytest.mark.coresys_no_repeat(reason="\udcff")
def test_suspected(): KEPT.append(bytearray(500_000))
@pytest.mark.coresys_skip(reason='"quoted" & <b>')
def test_left_out(): pass
@pytest.mark.coresys_budget("memory.growth", max="1 GB", reason="#412")
def test_generous(): KEPT.append(bytearray(50_000))
@pytest.mark.coresys_budget("memory.growth", max="1 B", level="warn")
def test_warned(): KEPT.append(bytearray(50_000))
@pytest.mark.coresys_budget("memory.grwth", max="1 B")
def test_broken_marker(): pass
def test_failed(): assert 0
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.xfail
def test_xfailed(): assert 0
@pytest.mark.xfail
def test_xpassed(): pass
@pytest.fixture
def broken(): raise RuntimeError
def test_setup_error(broken): pass
@pytest.fixture
def late():
    yield
    raise RuntimeError
def test_teardown_error(late): pass
@pytest.mark.parametrize("value", range(4), ids=['quote"\'', "line\nbreak\ttab", "\x1b[31mred<script>", "ünï\u202e"])
def test_hostile(value): pass
"""
OUTCOMES = {
    "test_leak": "failed",
    "test_thread": "failed",
    "test_broken_marker": "failed",
    "test_failed": "failed",
    "test_skipped": "skipped",
    "test_xfailed": "xfailed",
    "test_xpassed": "xpassed",
    "test_setup_error": "error",
    "test_teardown_error": "error",
}


@pytest.mark.slow
@pytest.mark.inner
@pytest.mark.parametrize(
    ("mode", "workers"),
    [
        ("--coresys-budget", []),
        ("--coresys-observe", []),
        ("--coresys-budget", ["-n", "2"]),
        ("--coresys-budget", ["-n", "2", "--dist", "each"]),
    ],
    ids=["serial", "observe", "n2", "each"],
)
def test_real_runs_are_valid(pytester: pytest.Pytester, workers: list[str], mode: str) -> None:
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest_subprocess(
        "-p", "no:randomly", "-W", "ignore", mode, "--coresys-profile", "strict", "--coresys-json", "run.json", *workers
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    run = json.loads(Path(pytester.path, "run.json").read_bytes().decode("utf-8", "strict"))
    assert problems(run) == []
    assert run["run"]["workers"] == (2 if workers else 0)
    observed = {"test_leak", "test_thread"} if mode == "--coresys-observe" else set()
    seen = {(test["nodeid"].partition("::")[2].partition("[")[0], test["outcome"]) for test in run["tests"]}
    wanted = {name: "passed" if name in observed else outcome for name, outcome in OUTCOMES.items()}
    if mode == "--coresys-observe":
        seen.discard(("test_broken_marker", "passed"))
        wanted.pop("test_broken_marker")
    assert seen >= set(wanted.items())
    assert len(run["tests"]) == 18 * (2 if "each" in workers else 1)
