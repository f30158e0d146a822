"""The criteria of a run: what its tests recorded, put together, and judged when it is over. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_coresys.criteria.judge import from_budgets, judge_all
from pytest_coresys.criteria.model import CriteriaFile, Result
from pytest_coresys.criteria.samples import Samples, merged
from pytest_coresys.wire import WORKER_DIED

# Outcomes of tests that prove nothing good, the worst first, and what each is called: one that fails as it is expected
# to has not come to its end either.
_UNPASSED = {
    "failed": "failed",
    "error": "error in its setup or teardown",
    "xfailed": "failed, as it was expected to",
    "skipped": "skipped",
}


def unpassed(tests: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tests of a run that did not pass, by node id, in words: ``t.py::x (skipped)``.

    Of one that is there several times (it ran in several shards, or on each worker) a failure counts; but one that is
    skipped in one place and passes in another has passed.
    """
    outcomes: dict[str, dict[str, Mapping[str, Any]]] = {}
    for test in tests:
        outcomes.setdefault(test["nodeid"], {}).setdefault(test["outcome"], test)
    found: dict[str, str] = {}
    for nodeid, several in outcomes.items():
        passed = any(outcome not in _UNPASSED for outcome in several)
        worst = next((each for each in _UNPASSED if each in several and not (passed and each == "skipped")), None)
        if worst is not None:
            died = several[worst].get("why") == WORKER_DIED
            found[nodeid] = f"{nodeid} ({WORKER_DIED if died else _UNPASSED[worst]})"
    return found


def told(samples: Mapping[str, Samples], marked: Sequence[str]) -> dict[str, Any] | None:
    """What one test has to tell, as plain values; None if nothing."""
    if not samples and not marked:
        return None
    return {"samples": {name: each.plain() for name, each in samples.items()}, "marked": list(marked)}


class RunCriteria:
    """Takes what tests tell. Of one that is run again by the same worker (a rerun) the last word counts."""

    def __init__(self, file: CriteriaFile) -> None:
        self.file = file
        self._told: dict[tuple[str, str | None], Mapping[str, Any]] = {}

    def add(self, told: Mapping[str, Any] | None, nodeid: str, worker: str | None) -> None:
        """What a test has told; None takes back what it told before."""
        if told is None:
            self._told.pop((nodeid, worker), None)
        else:
            self._told[nodeid, worker] = told

    @property
    def has_evidence(self) -> bool:
        """Whether any test said anything, or somebody chose the criteria."""
        return bool(self._told) or not self.file.builtin

    def results(self, tests: Iterable[Mapping[str, Any]]) -> list[Result]:
        """A result for each criterion, in the order of the file. ``tests`` are the run's, as its file has them."""
        tests = list(tests)
        not_passed = unpassed(tests)
        several: dict[str, list[Samples]] = {}
        evidence: dict[str, dict[str, None]] = {}
        broken: dict[str, dict[str, None]] = {}
        for (nodeid, _), said in self._told.items():
            recorded = [name for name in said["samples"] if name in self.file.criteria]
            for name in recorded:
                several.setdefault(name, []).append(Samples.from_plain(said["samples"][name]))
            for name in dict.fromkeys((*recorded, *said["marked"])):
                evidence.setdefault(name, {})[nodeid] = None
                if nodeid in not_passed:
                    broken.setdefault(name, {})[not_passed[nodeid]] = None
        samples = {name: merged(each) for name, each in several.items()}
        for name, (fed, nodeids) in from_budgets(self.file, tests).items():
            samples[name] = merged([samples[name], fed]) if name in samples else fed
            evidence.setdefault(name, {}).update(dict.fromkeys(nodeids))
        by_name = {name: tuple(nodeids) for name, nodeids in evidence.items()}
        results = judge_all(self.file, samples, by_name, {name: tuple(each) for name, each in broken.items()})
        return list(results.values())
