"""The corpus, once: every leaky case is found, no innocent one is flagged.

Each case runs once, in ``strict``, which has no limit to the effort: so many of them share a session, as the tests of
a project do, and each is judged as if it were alone. In ``make long`` each has a session of its own as well, and there
are the batches that a check has no time for: fifteen of sixteen of either kind (to say where a leak is takes long).

A run that spent less on repeating than ``default`` grants to any run is the same in ``default``, so of the innocent
ones only the slow are run there again; of the leaky ones every eighth is run in ``default``, for the share that has to
be found. ``benchmarks/truth.py --repeat 10`` runs each file of it in both.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))  # no package, and outside testpaths

import driver
from driver import Case, cases, run, run_together

pytestmark = [
    pytest.mark.slow,
    pytest.mark.corpus,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tests are repeated on Linux only"),
]

CASES = cases()
LEAKY, INNOCENT = [case for case in CASES if case.leaky], [case for case in CASES if not case.leaky]
GRANTED_IN_DEFAULT = 2.5  # seconds; 3 in truth
SLOW_NAMES = (  # of innocent ones that spend more than that
    "fills_in_630_runs",
    "kept_by_a_wider_fixture",
    "library_flushes",
    "list_bound_anew",
    "pool_not_full_in_time",
    "rows_swapped_out",
)
FOUND_IN_DEFAULT = 0.9


def _name(case: Case) -> str:
    return case.path.stem.removeprefix("test_")


def _names(chosen: list[Case]) -> str:
    return _name(chosen[0]) if len(chosen) == 1 else f"{len(chosen)} from {_name(chosen[0])}"


def test_the_corpus_is_large_enough_and_says_what_leaks() -> None:
    assert len(LEAKY) >= 30
    assert len(INNOCENT) >= 30
    assert all(case.expected for case in LEAKY)
    assert len(SLOW) == len(SLOW_NAMES)


BATCHES = 16  # of either kind; what a session costs does not count any more, and workers have their turns
SLOW = [case for case in INNOCENT if _name(case) in SLOW_NAMES]


def wrong(chosen: list[Case]) -> dict[str, str]:
    """What was not right about cases that ran together, by name, and how to run each alone."""
    seen = run_together(chosen, profile="strict")
    return {
        case.name: f"{said} - alone: pytest tests/plugin/test_corpus.py -m long -k '{_name(case)}'"
        for case, said in seen.items()
        if not case.is_right(said)
    }


def in_batches(chosen: list[Case], *, often: int) -> list[Any]:
    """Those that can share a session, in as many as there are to be, of which so many are in each check.

    Each of those that cannot is one by itself, in each check too.
    """
    shared = [case for case in chosen if not case.alone]
    batches = [shared[at::BATCHES] for at in range(BATCHES)]
    params = [pytest.param(batch, marks=() if at < often else pytest.mark.long) for at, batch in enumerate(batches)]
    return params + [pytest.param([case]) for case in chosen if case.alone]


@pytest.mark.parametrize("chosen", in_batches(LEAKY, often=1), ids=_names)
def test_leaky_cases_are_found_by_their_keys_in_strict(chosen: list[Case]) -> None:
    assert wrong(chosen) == {}


@pytest.mark.parametrize("chosen", in_batches(INNOCENT, often=1), ids=_names)
def test_innocent_cases_are_not_flagged_in_strict(chosen: list[Case]) -> None:
    assert wrong(chosen) == {}


@pytest.mark.parametrize("case", SLOW, ids=_name)
def test_a_slow_innocent_case_is_not_flagged_in_default_either(case: Case) -> None:
    default = run(case)
    assert case.is_right(default), default


@pytest.mark.long
@pytest.mark.parametrize("case", LEAKY, ids=_name)
def test_a_leaky_case_is_found_by_its_key_in_strict_alone(case: Case) -> None:
    seen = run(case, profile="strict")
    assert case.is_right(seen), seen


@pytest.mark.long
@pytest.mark.parametrize("case", INNOCENT, ids=_name)
def test_an_innocent_case_is_flagged_in_no_profile_alone(case: Case) -> None:
    strict = run(case, profile="strict")
    assert case.is_right(strict), strict
    if strict.spent > GRANTED_IN_DEFAULT and case not in SLOW:
        default = run(case)
        assert case.is_right(default), default


def test_nine_of_ten_leaky_cases_are_found_in_default() -> None:
    sample = LEAKY[::8]
    missed = {case.name: seen for case in sample if not case.is_right(seen := run(case))}
    assert len(missed) <= (1 - FOUND_IN_DEFAULT) * len(sample), missed


# -- the driver itself: a verdict of many is no weaker than one of each ---------------------------------------------

ONE, OTHER = Case(Path("test_one.py"), True, "memory.growth"), Case(Path("test_other.py"), False)


def facts_of(*findings: dict[str, Any], of_run: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """A run file of both: what the leaky one is charged with, and the run."""
    by_us = any(finding["level"] == "error" for finding in findings)
    common: dict[str, Any] = {"measures": {}, "repetitions": 50}
    one = {"nodeid": "test_one.py::test_a", "outcome": "failed" if by_us else "passed", "findings": findings, **common}
    other = {"nodeid": "test_other.py::test_a", "outcome": "passed", "findings": [], **common}
    return {"run": {}, "tests": [one, other], "findings": of_run}


def finding(key: str = "memory.growth", path: str = "test_one.py", level: str = "error", *tests: str) -> dict[str, Any]:
    return {"key": key, "level": level, "tests": list(tests), "locations": [{"path": path, "line": 3}]}


def right(monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any] | None) -> tuple[bool, bool]:
    """Whether the leaky and the innocent one of a session with this run file are right."""
    monkeypatch.setattr(driver, "_session", lambda *_: (facts, 1.0, "" if facts else "no run file"))
    seen = run_together([ONE, OTHER], profile="strict")
    return ONE.is_right(seen[ONE]), OTHER.is_right(seen[OTHER])


OF_OTHER = finding("threads.leaked", "somewhere.py", "error", "test_other.py::test_a")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(facts_of(finding()), (True, True), id="found"),
        pytest.param(facts_of(), (False, True), id="missed"),
        pytest.param(facts_of(finding("threads.leaked")), (False, True), id="by another key"),
        pytest.param(facts_of(finding(level="suspicion")), (False, True), id="only suspected"),
        pytest.param(facts_of(finding(path="test_other.py")), (False, True), id="charged with what another did"),
        pytest.param(facts_of(finding(), of_run=(OF_OTHER,)), (True, False), id="a fixture of the innocent one"),
        pytest.param(facts_of(of_run=(finding(),)), (False, False), id="a finding of the run that names no test"),
        pytest.param(None, (False, False), id="no run file"),
    ],
)
def test_a_case_among_others_is_right_only_by_its_own_findings(
    facts: dict[str, Any] | None, expected: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert right(monkeypatch, facts) == expected
