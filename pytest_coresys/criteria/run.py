"""The criteria of a run: what its tests recorded, put together, and judged when it is over. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_coresys.criteria.judge import from_budgets, judge_all
from pytest_coresys.criteria.model import CriteriaFile, Result
from pytest_coresys.criteria.samples import Samples, merged

FAILED = ("failed", "error", "xfailed")
"""Outcomes of tests that prove nothing good: one that fails as it is expected to has not come to its end either."""
_UNRUN = ("skipped", "xfailed")
UNRUN = "the test for it was not run to its end"
"""Why a criterion is not measured of which nothing was recorded but by tests that were skipped: the first is named."""


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
        outcomes: dict[str, str] = {}
        for test in tests:
            known = outcomes.get(test["nodeid"])
            outcomes[test["nodeid"]] = test["outcome"] if known not in FAILED else known
        several: dict[str, list[Samples]] = {}
        evidence: dict[str, dict[str, None]] = {}
        failed: dict[str, dict[str, None]] = {}
        skipped: dict[str, dict[str, None]] = {}
        for (nodeid, _), said in self._told.items():
            outcome = outcomes.get(nodeid, "passed")
            recorded = [name for name in said["samples"] if name in self.file.criteria]
            for name in recorded:
                several.setdefault(name, []).append(Samples.from_plain(said["samples"][name]))
            for name in dict.fromkeys((*recorded, *said["marked"])):
                if outcome in _UNRUN and name not in said["samples"]:
                    skipped.setdefault(name, {})[nodeid] = None
                    continue
                evidence.setdefault(name, {})[nodeid] = None
                if outcome in FAILED:
                    failed.setdefault(name, {})[nodeid] = None
        samples = {name: merged(each) for name, each in several.items()}
        for name, (fed, nodeids) in from_budgets(self.file, tests).items():
            samples[name] = merged([samples[name], fed]) if name in samples else fed
            evidence.setdefault(name, {}).update(dict.fromkeys(nodeids))
        for name, nodeids_skipped in skipped.items():
            if name in self.file.criteria and name not in samples:
                alone = Samples()
                first = next(iter(nodeids_skipped))
                alone.fail_to_measure(f"{UNRUN}: {first}")
                samples[name] = alone
        by_name = {name: tuple(nodeids) for name, nodeids in evidence.items()}
        results = judge_all(self.file, samples, by_name, {name: tuple(each) for name, each in failed.items()})
        return list(results.values())
