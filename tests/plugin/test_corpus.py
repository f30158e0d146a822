"""The corpus, once: every leaky case is found, no innocent one is flagged.

Each case runs once, in ``strict``. A run that spent less on repeating than ``default`` grants to any run is the same
in ``default``, so of the innocent ones only the slow are run there again; of the leaky ones every eighth is run in
``default``, for the share that has to be found. ``benchmarks/truth.py --repeat 10`` runs all of it in both.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "corpus"))  # no package, and outside testpaths

from driver import Case, cases, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.corpus,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tests are repeated on Linux only"),
]

CASES = cases()
LEAKY, INNOCENT = [case for case in CASES if case.leaky], [case for case in CASES if not case.leaky]
GRANTED_IN_DEFAULT = 2.5  # seconds; 3 in truth
FOUND_IN_DEFAULT = 0.9


def _name(case: Case) -> str:
    return case.path.stem.removeprefix("test_")


def test_the_corpus_is_large_enough_and_says_what_leaks() -> None:
    assert len(LEAKY) >= 30
    assert len(INNOCENT) >= 30
    assert all(case.expected for case in LEAKY)


# Two of three are for ``make long``, and one of three innocent ones: a check has to end within minutes.
IN_STRICT = [pytest.param(case, marks=pytest.mark.long if at % 3 else ()) for at, case in enumerate(LEAKY)]
LEFT_ALONE = [pytest.param(case, marks=pytest.mark.long if at % 3 == 2 else ()) for at, case in enumerate(INNOCENT)]


@pytest.mark.parametrize("case", IN_STRICT, ids=_name)
def test_a_leaky_case_is_found_by_its_key_in_strict(case: Case) -> None:
    seen = run(case, profile="strict")
    assert case.is_right(seen), seen


@pytest.mark.parametrize("case", LEFT_ALONE, ids=_name)
def test_an_innocent_case_is_flagged_in_no_profile(case: Case) -> None:
    strict = run(case, profile="strict")
    assert case.is_right(strict), strict
    if strict.spent > GRANTED_IN_DEFAULT:
        default = run(case)
        assert case.is_right(default), default


def test_nine_of_ten_leaky_cases_are_found_in_default() -> None:
    sample = LEAKY[::8]
    missed = {case.name: seen for case in sample if not case.is_right(seen := run(case))}
    assert len(missed) <= (1 - FOUND_IN_DEFAULT) * len(sample), missed
