"""Several run files of one suite as one run: shards of a CI job, say. One verdict, one graph of locks. Pure.

What a run file tells is enough: figures of criteria are added up and judged anew; locks that are one for the whole
program are the same in each shard, so that an order seen in one and its reverse in another close a circle here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from coresys.errors.hierarchy import CoreSysError
from pytest_coresys.criteria.judge import judge_all
from pytest_coresys.criteria.model import CriteriaFile, Criterion
from pytest_coresys.criteria.records import criterion_from_dict, result_to_dict, samples_from_dict, softened
from pytest_coresys.criteria.run import unpassed
from pytest_coresys.criteria.samples import Samples
from pytest_coresys.reports.model import NOT_RUN, RunReport, summary_of
from pytest_coresys.wire import SCHEMA, finding_to_dict

Run = Mapping[str, Any]


class MergeError(CoreSysError):
    """Runs that are no shards of one suite. ``problem`` says why."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


def merge(runs: Sequence[Run]) -> dict[str, Any]:
    """One run of several. Raises MergeError where they cannot be one."""
    _check(runs)
    if len(runs) == 1:
        return dict(runs[0])
    runs = sorted(runs, key=lambda run: (run["run"]["started"], run["run"]["id"]))
    report = RunReport(mode=runs[0]["run"]["mode"])
    tests = _tests(runs)
    for at, run in enumerate(runs):
        report.orders.add_section(run["locks"], shard=str(at))
        for finding in run["findings"]:
            report.add_run_finding(finding)
    measures = {
        test["nodeid"]: test["measures"][report.orders.KEY] for test in tests if report.orders.KEY in test["measures"]
    }
    known = {frozenset(finding.get("locks", ())) for run in runs for finding in run["findings"]}
    for found in report.orders.between_tests(measures):
        if frozenset(found.locks) not in known:  # else a shard has told it, and perhaps that it is agreed to
            report.add_run_finding(finding_to_dict(found))
    merged: dict[str, Any] = {
        "schema": SCHEMA,
        "run": _facts(runs),
        "tests": tests,
        "findings": report.run_findings(),
        "criteria": _criteria(runs, tests),
        "soak": next((dict(run["soak"]) for run in runs if run["soak"]), {}),
        "locks": report.orders.section(),
    }
    merged["summary"] = summary_of(merged, merged["run"]["require_measured"])
    return merged


def _check(runs: Sequence[Run]) -> None:
    if not runs:
        raise MergeError("there is no run to merge")
    ids = [run["run"]["id"] for run in runs]
    if twice := next((each for each in ids if ids.count(each) > 1), None):
        raise MergeError(f"run {twice} is given twice")
    for name in ("mode", "profile", "commit"):
        values = {str(run["run"].get(name)) for run in runs if run["run"].get(name) is not None}
        if len(values) > 1:
            raise MergeError(f"no shards of one run: {name} is {' and '.join(sorted(values))}")
    if sum(1 for run in runs if run["soak"]) > 1:
        raise MergeError("soaks are judged each by itself: their series cannot be put together")
    files = {run["run"].get("criteria", {}).get("file", "") for run in runs}
    if len(files) > 1:
        raise MergeError(f"they were judged by different criteria: {' and '.join(sorted(files))}")


# -- tests ----------------------------------------------------------------------------------------------------------


def _tests(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """All of them, in order. A test that one shard left to another is there once; one that two ran, twice."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        for test in run["tests"]:
            found.setdefault(test["nodeid"], []).append(dict(test))
    tests: list[dict[str, Any]] = []
    for several in found.values():
        ran = [test for test in several if test["why"] != NOT_RUN]
        tests += ran or several[:1]
    return tests


# -- criteria -------------------------------------------------------------------------------------------------------


def _criteria(runs: Sequence[Run], tests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    criteria: dict[str, Criterion] = {}
    samples: dict[str, Samples] = {}
    evidence: dict[str, dict[str, None]] = {}
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        for entry in run["criteria"]:
            name = entry["id"]
            entries.setdefault(name, []).append(entry)
            known = criteria.setdefault(name, criterion_from_dict(entry))
            if (known.limit, known.comparison, known.statistic) != (
                entry["limit"],
                entry["comparison"],
                entry["statistic"],
            ):
                raise MergeError(f"criterion {name} has different limits in them")
            samples.setdefault(name, Samples()).merge(samples_from_dict(entry))
            evidence.setdefault(name, {}).update(dict.fromkeys(entry["evidence"]))
    not_passed = unpassed(tests)
    broken = {name: [not_passed[each] for each in nodeids if each in not_passed] for name, nodeids in evidence.items()}
    file = CriteriaFile("", lambda: criteria)
    results = judge_all(file, samples, {name: list(each) for name, each in evidence.items()}, broken)
    return softened([_at_level(result_to_dict(result), entries[name]) for name, result in results.items()])


def _at_level(merged: dict[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A criterion at the worst level that it has in a shard: of one that is over, in a shard where it is. A baseline
    may have made it a warning in one shard, and not in another, where it is worse than what is known."""
    over = [entry for entry in entries if entry["verdict"] == "over"] if merged["verdict"] == "over" else []
    levels = {entry.get("level", "error") for entry in over or entries}
    return {**merged, "level": "error" if "error" in levels else "warn"}


# -- facts ----------------------------------------------------------------------------------------------------------


def _facts(runs: Sequence[Run]) -> dict[str, Any]:
    facts = [run["run"] for run in runs]
    first = facts[0]
    began = min(datetime.fromisoformat(each["started"]) for each in facts)
    ended = max(datetime.fromisoformat(each["started"]) + timedelta(seconds=each["duration"] or 0) for each in facts)
    merged = {
        **first,
        "id": "+".join(each["id"] for each in facts),
        "started": began.isoformat(),
        "duration": (ended - began).total_seconds(),
        "workers": sum(each["workers"] for each in facts),
        "noise_floor": _largest(each["noise_floor"] for each in facts),
        "require_measured": list(dict.fromkeys(glob for each in facts for glob in each.get("require_measured", []))),
        "effort": _effort([each.get("effort", {}) for each in facts]),
        "shards": [_shard(run) for run in runs],
    }
    for name in ("python", "platform", "coresys", "pytest"):
        merged[name] = ", ".join(dict.fromkeys(str(each[name]) for each in facts))
    if any(each["machine"] != first["machine"] for each in facts):
        merged["machine"] = _common([each["machine"] for each in facts])
    told = any(each.get("criteria", {}).get("told") for each in facts)
    if "criteria" in first:
        merged["criteria"] = {**first["criteria"], "told": told}
    return merged


def _shard(run: Run) -> dict[str, Any]:
    facts = run["run"]
    names = ("id", "started", "duration", "python", "platform", "machine")
    return {**{name: facts[name] for name in names if name in facts}, "tests": len(run["tests"])}


def _common(machines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all of them have; None where they differ."""
    names = dict.fromkeys(name for machine in machines for name in machine)
    return {
        name: machines[0].get(name) if len({str(machine.get(name)) for machine in machines}) == 1 else None
        for name in names
    }


def _largest(several: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in several:
        for key, value in each.items():
            found[key] = max(value, found.get(key, value))
    return found


def _effort(several: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    summed = {
        name: sum(each.get(name) or 0 for each in several) for name in ("spent", "explaining", "repeated", "unrepeated")
    }
    return {
        **summed,
        "share": _most([each.get("share") for each in several]),
        "floor": _most([each.get("floor") for each in several]),
        "notes": list(dict.fromkeys(note for each in several for note in each.get("notes", []))),
    }


def _most(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None
