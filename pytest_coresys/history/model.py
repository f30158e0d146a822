"""What a store keeps of a run, and which runs may be compared. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from coresys.errors.hierarchy import CoreSysError
from pytest_coresys.reports.reading import largest_of, suspected

Run = Mapping[str, Any]
GB = 1024**3


class HistoryError(CoreSysError):
    """A store that cannot be used. ``url`` is which (without a password), ``problem`` the cause."""

    def __init__(self, *, url: str, problem: str) -> None:
        self.url, self.problem = url, problem
        super().__init__(f"{url}: {problem}")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. ``machine`` is the fingerprint of what figures depend on: runs of another one are not compared.

    ``merged``: the ids of the runs that it was merged from, with blanks between.
    """

    id: str
    started: str
    duration: float
    mode: str
    profile: str
    python: str
    coresys: str
    machine: str
    cpu: str
    commit_id: str
    tests: int
    over: int
    near: int
    within: int
    unmeasured: int
    merged: str
    compliant: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One figure of one run: of a criterion, or of a measure (the largest of its tests, or that of one).

    There is none where it is suspected, or was not measured. ``unmeasured``: the tests that have no part in it.
    """

    run: str
    started: str
    value: float | None
    verdict: str
    unmeasured: int = 0


NO_FIGURE = ("suspected", "not_measured")


class HistoryStore(Protocol):
    """Where runs are kept. Every method raises HistoryError; ``save`` keeps all of a run or nothing of it."""

    url: str

    def save(self, run: Run, *, keep: int | None = None) -> None:
        """Keep a run, and of each machine no more than so many. One that is there already stays as it is.

        A run that was merged takes the place of those that it was merged from, none of which is kept after it.
        """

    def runs(self, last: int, machine: str | None = None) -> list[RunRow]:
        """The last runs, oldest first; of one machine only, if that is given."""

    def trend(self, key: str, last: int, *, machine: str | None = None, nodeid: str | None = None) -> list[Point]:
        """The last figures of a criterion or a measure, oldest first."""

    def criteria(self, ids: Sequence[str], last: int, machine: str) -> dict[str, list[Point]]:
        """The last figures of each of these criteria, oldest first, all read at once."""

    def unit(self, criterion: str) -> str:
        """The unit that a criterion had last; empty where that is not known."""

    def keys(self) -> list[str]:
        """The measures and criteria that there are figures of."""

    def prune(self, keep: int) -> int:
        """Keep so many runs of each machine, the last ones; returns how many are gone."""

    def close(self) -> None:
        """Give up what is open."""


def fingerprint(run: Run) -> str:
    """What the figures of a run depend on: processor, cores, memory (in GB), system, minor version of Python."""
    facts, machine = run["run"], run["run"]["machine"]
    memory = machine.get("memory")
    system = str(machine.get("system") or "").split()
    parts = [
        machine.get("cpu"),
        machine.get("cores"),
        None if memory is None else round(memory / GB),
        system[0] if system else None,
        ".".join(str(facts["python"]).split(".")[:2]),
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def row_of(run: Run) -> RunRow:
    """The run itself."""
    facts, summary = run["run"], run["summary"]
    return RunRow(
        id=facts["id"],
        started=facts["started"],
        duration=float(facts["duration"] or 0),
        mode=facts["mode"],
        profile=facts.get("profile", ""),
        python=facts["python"],
        coresys=facts["coresys"],
        machine=fingerprint(run),
        cpu=str(facts["machine"].get("cpu") or ""),
        commit_id=facts.get("commit") or "",
        tests=summary["tests"],
        over=summary["over"],
        near=summary["near"],
        within=summary["within"],
        unmeasured=summary["not_measured"],
        merged=" ".join(facts.get("merged", ())),
        compliant=bool(summary["compliant"]),
    )


def measures_of(run: Run, once_open: Collection[tuple[str, str]] = ()) -> Iterator[dict[str, Any]]:
    """A row for each figure that says something: what is zero and within, as most are, is what is not there.

    It is there for a measure of a test that was ``once_open`` (over, or suspected): a trend has to show its cure.
    """
    seen: set[tuple[str, str]] = set()
    for test in run["tests"]:
        doubtful = suspected(test)
        for key, measure in test["measures"].items():
            value, of = measure["value"], (test["nodeid"], key)
            verdict = "suspected" if key in doubtful else measure["verdict"]
            told = (
                verdict == "suspected" or of in once_open or (value is not None and (value, verdict) != (0, "within"))
            )
            if not told or of in seen:
                continue
            seen.add(of)
            yield {
                "run": run["run"]["id"],
                "nodeid": test["nodeid"],
                "key": key,
                "value": float(value or 0),  # which is no figure, where the verdict says so
                "verdict": verdict,
            }


def totals_of(run: Run) -> Iterator[dict[str, Any]]:
    """A row for each measure that was in force: its largest figure, also if that is zero, and its worst verdict."""
    verdicts: dict[str, list[str]] = {}
    for test in run["tests"]:
        doubtful = suspected(test)
        for key, measure in test["measures"].items():
            if measure.get("level") != "off":
                verdict = "suspected" if key in doubtful else measure["verdict"]
                verdicts.setdefault(key, []).append(verdict)
    for finding in run["findings"]:
        verdicts.setdefault(finding["key"], []).append("suspected" if finding["level"] == "suspicion" else "over")
    figures = largest_of(run)
    for key, seen in verdicts.items():
        worst = next(each for each in _WORST_FIRST if each in seen)
        _, value = figures.get(key, ("", None))
        yield {
            "run": run["run"]["id"],
            "key": key,
            "value": None if value is None or worst in NO_FIGURE else float(value),
            "verdict": worst,
            "unmeasured": seen.count("not_measured"),
        }


# What is not measured comes last: of some tests it nearly always is, and how many is told beside the figure.
_WORST_FIRST = ("over", "suspected", "near", "within", "not_measured")


def criteria_of(run: Run) -> Iterator[dict[str, Any]]:
    """A row for each criterion that was measured."""
    for criterion in run["criteria"]:
        if criterion["verdict"] != "not_measured" and criterion["value"] is not None:
            yield {
                "run": run["run"]["id"],
                "id": criterion["id"],
                "value": float(criterion["value"]),
                "verdict": criterion["verdict"],
                "samples": criterion["samples"],
                "unit": str(criterion.get("unit") or "")[:_LONGEST_UNIT],
            }


_LONGEST_UNIT = 40

LAST = 20
"""Figures of a trend."""


def put_trends(run: dict[str, Any], store: HistoryStore) -> None:
    """Put the last figures of each criterion that was measured, on machines like this one, into the run."""
    measured = {
        each["id"]: each
        for each in run["criteria"]
        if each["verdict"] != "not_measured" and each["statistic"] != "derived"
    }
    if not measured:
        return
    for name, points in store.criteria(list(measured), LAST, fingerprint(run)).items():
        measured[name]["trend"] = [
            {"run": point.run, "started": point.started, "value": point.value, "verdict": point.verdict}
            for point in points
        ]
