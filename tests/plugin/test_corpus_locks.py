"""The corpus of locks, once: what is in a file is found and named, no innocent one is flagged.

Many files share a session, so that a batch here is one. What is known not to be found is in ``missed``, each file with
the reason. ``benchmarks/locks_truth.py`` does the same, twenty times and on a busy machine too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus_locks"))  # no package, and outside testpaths

import locks_driver as driver

pytestmark = [
    pytest.mark.slow,
    pytest.mark.corpus,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, signals and sockets as of Linux"),
]

BATCHES = 8  # of the innocent ones, some of which wait for longer than a deadlock takes to be told


CASES = driver.cases()
MISSED = [case for case in CASES if case.kind == driver.MISSED]
GUILTY = [case for case in CASES if case.finds is not None and case not in MISSED]
INNOCENT = [case for case in CASES if case.finds is None]


def wrong(cases: list[driver.Case]) -> dict[str, str]:
    """What was not right about them, by name."""
    scores = {case: driver.score(case, seen) for case, seen in driver.run(cases).items()}
    assert scores
    return {case.name: f"{each.word}: {each.why}" for case, each in scores.items() if not each.right}


def test_the_corpus_is_large_enough_and_says_what_is_found_where() -> None:
    assert len(GUILTY) >= 60
    assert len(INNOCENT) >= 25
    assert {case.kind for case in CASES} == set(driver.KINDS)
    assert all(case.sites and case.needs and str(case.finds).startswith("locks.") for case in GUILTY)
    assert not any(case.sites for case in INNOCENT)


def test_a_known_miss_says_why_and_nothing_else_is_one() -> None:
    assert all(case.because and case.finds for case in MISSED)
    assert not any(case.because for case in CASES if case not in MISSED)


# What hangs, or waits to see whether it hangs, takes a minute in all: ``make long``.
KINDS = [
    pytest.param(kind, marks=() if kind == "potential" else pytest.mark.long)
    for kind in driver.KINDS
    if kind not in (driver.INNOCENT, driver.MISSED)
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_is_found_and_named(kind: str) -> None:
    assert wrong([case for case in GUILTY if case.kind == kind]) == {}


def test_known_misses_are_missed_still() -> None:
    scores = {case.name: driver.score(case, seen).word for case, seen in driver.run(MISSED).items()}
    assert scores == dict.fromkeys((case.name for case in MISSED), "known")


@pytest.mark.parametrize("batch", [0, *(pytest.param(each, marks=pytest.mark.long) for each in range(1, BATCHES))])
def test_no_innocent_one_is_flagged(batch: int) -> None:
    assert wrong(INNOCENT[batch::BATCHES]) == {}


SEEN_RIGHT = {"counts": {"locks.deadlocks": 1}, "lines": {"locks.deadlocks": {3, 4}}, "outcomes": ["failed"]}


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        ({}, "found"),
        ({"counts": {"locks.deadlocks": 1, "locks.potential_deadlocks": 1}}, "found"),
        ({"counts": {"locks.deadlocks": 2}}, "missed"),
        ({"lines": {"locks.deadlocks": {3}}}, "missed"),
        ({"counts": {}}, "missed"),
        ({"counts": {"locks.deadlocks": 1, "locks.wait": 1}}, "false"),
        ({"problem": "not done after 25 s"}, "missed"),
    ],
)
def test_a_case_is_found_only_by_its_key_number_and_lines(seen: dict[str, Any], word: str) -> None:
    case = driver.Case(Path("test_x.py"), driver.REAL, "locks.deadlocks", 1, "order", sites=frozenset({3, 4}))
    assert driver.score(case, driver.Seen(**{**SEEN_RIGHT, **seen})).word == word


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        ({"counts": {}}, "known"),
        ({}, "found"),
        ({"counts": {"locks.deadlocks": 1, "locks.wait": 1}}, "false"),
    ],
)
def test_a_known_miss_is_known_only_while_it_is_missed(seen: dict[str, Any], word: str) -> None:
    sites = frozenset({3, 4})
    case = driver.Case(Path("test_x.py"), driver.MISSED, "locks.deadlocks", 1, "live", sites=sites, because="so it is")
    assert driver.score(case, driver.Seen(**{**SEEN_RIGHT, **seen})).word == word


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        ({"outcomes": ["passed"]}, "clean"),
        ({"outcomes": ["passed"], "suspected": {"locks.deadlocks"}}, "clean"),
        ({"outcomes": ["failed"]}, "false"),
        ({"outcomes": ["failed"], "counts": {"locks.deadlocks": 1}}, "false"),
        ({"problem": "no test was collected"}, "broken"),
    ],
)
def test_an_innocent_case_is_clean_only_if_it_passed_and_nothing_was_found(seen: dict[str, Any], word: str) -> None:
    assert driver.score(driver.Case(Path("test_x.py"), driver.INNOCENT), driver.Seen(**seen)).word == word
