"""Several run files of one suite as one run: shards of a CI job, say. One verdict, one graph of locks. Pure.

What a run file tells is enough: figures of criteria are added up and judged anew; locks that are one for the whole
program are the same in each shard, so that an order seen in one and its reverse in another close a circle here.

A test is there once: of a shard that ran it, and where several did, of the one in which it came to the worst. The
order in which the files are given makes no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from coresys.errors.hierarchy import CoreSysError
from pytest_coresys.criteria.judge import is_for_want_of_a_pass, judge_all
from pytest_coresys.criteria.model import CriteriaFile, Criterion
from pytest_coresys.criteria.records import criterion_from_dict, result_to_dict, samples_from_dict, softened
from pytest_coresys.criteria.run import unpassed
from pytest_coresys.criteria.samples import Samples
from pytest_coresys.reports.model import NOT_RUN, RunReport, moment, summary_of
from pytest_coresys.reports.orders import with_lock_ids
from pytest_coresys.reports.reading import merged_of
from pytest_coresys.wire import SCHEMA, WORST_FIRST, finding_to_dict

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
    runs = sorted(runs, key=lambda run: (moment(run["run"]["started"]), run["run"]["id"]))
    report = RunReport(mode=runs[0]["run"]["mode"])
    tests, several = _tests(runs)
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
    locks = report.orders.section()
    merged: dict[str, Any] = {
        "schema": SCHEMA,
        "run": _facts(runs, several),
        "tests": [{**test, "findings": with_lock_ids(test["findings"], locks, test["nodeid"])} for test in tests],
        "findings": with_lock_ids(report.run_findings(), locks),
        "criteria": _criteria(runs, tests, several),
        "soak": next((dict(run["soak"]) for run in runs if run["soak"]), {}),
        "locks": locks,
    }
    merged["summary"] = summary_of(merged, merged["run"]["require_measured"])
    return merged


def _check(runs: Sequence[Run]) -> None:
    if not runs:
        raise MergeError("there is no run to merge")
    ids = Counter(run["run"]["id"] for run in runs)
    if twice := [each for each, times in ids.items() if times > 1]:
        raise MergeError(f"run {min(twice)} is given twice")
    parts = Counter(part for run in runs for part in parts_of(run))
    if twice := [each for each, times in parts.items() if times > 1]:
        raise MergeError(f"run {min(twice)} is part of two of them: it would be counted twice")
    for name in ("mode", "profile", "commit"):
        values = {str(run["run"].get(name)) for run in runs if run["run"].get(name) is not None}
        if len(values) > 1:
            raise MergeError(f"no shards of one run: {name} is {' and '.join(sorted(values))}")
    if sum(1 for run in runs if run["soak"]) > 1:
        raise MergeError("soaks are judged each by itself: their series cannot be put together")
    files = {run["run"].get("criteria", {}).get("file", "") for run in runs}
    if len(files) > 1:
        raise MergeError(f"they were judged by different criteria: {' and '.join(sorted(files))}")


def parts_of(run: Run) -> list[str]:
    """The ids of the runs that this one was made of: its own, where it was not merged."""
    return merged_of(run) or [run["run"]["id"]]


# -- tests ----------------------------------------------------------------------------------------------------------


def _tests(runs: Sequence[Run]) -> tuple[list[dict[str, Any]], list[str]]:
    """All of them, in order, and the ids of those that several shards ran."""
    found: dict[str, list[list[dict[str, Any]]]] = {}
    for run in runs:
        of_run: dict[str, list[dict[str, Any]]] = {}
        for test in run["tests"]:
            of_run.setdefault(test["nodeid"], []).append(dict(test))
        for nodeid, rows in of_run.items():
            found.setdefault(nodeid, []).append(rows)  # several with --dist each: a row for each worker
    tests: list[dict[str, Any]] = []
    for shards in found.values():
        worst = max(shards, key=_weight)  # the first of those that weigh the same
        tests += worst
    return tests, [nodeid for nodeid, shards in found.items() if sum(map(_ran, shards)) > 1]


def _ran(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(test["outcome"] != "skipped" for test in rows)


def _weight(rows: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """What one shard tells of a test weighs more than what another does if it ran there, and then if it is worse."""
    return max(
        (
            test["outcome"] != "skipped",
            any(finding["level"] == "error" for finding in test["findings"]),
            _OUTCOMES.index(test["outcome"]),
            -WORST_FIRST.index(test["verdict"]),
            test["why"] != NOT_RUN,  # skipped on purpose, rather than left to another shard
        )
        for test in rows
    )


_OUTCOMES = ("skipped", "passed", "xpassed", "xfailed", "failed", "error")


# -- criteria -------------------------------------------------------------------------------------------------------


def _criteria(runs: Sequence[Run], tests: Iterable[Mapping[str, Any]], several: Sequence[str]) -> list[dict[str, Any]]:
    criteria: dict[str, Criterion] = {}
    evidence: dict[str, dict[str, None]] = {}
    entries: dict[str, list[Mapping[str, Any]]] = {}
    told: dict[str, list[Told]] = {}
    proving: dict[str, set[str]] = {}  # tests that have to pass for it
    for run in runs:
        ran = {test["nodeid"] for test in run["tests"] if test["outcome"] != "skipped"}
        skipped = {test["nodeid"] for test in run["tests"]} - ran  # on each worker, where several had it
        for entry in run["criteria"]:
            name = entry["id"]
            known = criteria.setdefault(name, criterion_from_dict(entry))
            if (known.limit, known.comparison, known.statistic) != (
                entry["limit"],
                entry["comparison"],
                entry["statistic"],
            ):
                raise MergeError(f"criterion {name} has different limits in them")
            if entry["limit"] is None and entry["statistic"] != "derived":
                raise MergeError(f"criterion {name} has no limit that it could be judged by again")
            entries.setdefault(name, []).append(entry)
            evidence.setdefault(name, {}).update(dict.fromkeys(entry["evidence"]))
            told.setdefault(name, []).append(Told(entry, frozenset(entry["evidence"]) - skipped))
            if _wants_passes(entry):
                proving.setdefault(name, set()).update(entry["evidence"])
    _check_parts(criteria)
    not_passed = unpassed(tests)
    broken = {
        name: [not_passed[each] for each in nodeids if each in not_passed and each in proving.get(name, ())]
        for name, nodeids in evidence.items()
    }
    file = CriteriaFile("", lambda: criteria)
    samples = {name: _samples(each, several) for name, each in told.items()}
    results = judge_all(file, samples, {name: list(each) for name, each in evidence.items()}, broken)
    return softened([_at_level(result_to_dict(result), entries[name]) for name, result in results.items()])


def _wants_passes(entry: Mapping[str, Any]) -> bool:
    """Whether a criterion may be kept from being measured by a test of its evidence that did not pass. Not one that was
    judged all the same: budgets feed it, whose figures count though another budget failed the test."""
    return entry["verdict"] == "over" or is_for_want_of_a_pass(entry["why"])


def _check_parts(criteria: Mapping[str, Criterion]) -> None:
    for name, criterion in criteria.items():
        for part in criterion.parts:
            if part not in criteria or criteria[part].statistic == "derived":
                raise MergeError(f"criterion {name} rests on {part}, of which no figures are there")


class Told(NamedTuple):
    """What one shard says of a criterion: its entry, and the tests that ran there and are evidence for it."""

    entry: Mapping[str, Any]
    tests: frozenset[str]


def _samples(told: Sequence[Told], several: Sequence[str]) -> Samples:
    """What shards recorded for a criterion, as one. Where the same tests recorded in two, those are counted once."""
    whole, kept = Samples(), _without_repeated(told)
    for each in kept:
        whole.merge(samples_from_dict(each.entry))
    twice = [nodeid for nodeid in several if sum(nodeid in each.tests for each in told) > 1]
    if twice and whole.number:
        how = "counted once" if len(kept) < len(told) else "counted in each"
        whole.say(f"run in more than one shard, and {how}: {_named(twice)}")
    return whole


def _without_repeated(told: Sequence[Told]) -> list[Told]:
    """Without the shards all of whose tests another one ran too: what is over is kept, or else what rests on more, or
    is worse."""
    kept: list[Told] = []
    for each in sorted(told, key=_last_to_keep):
        others = [other.tests for other in kept if other.tests]
        if not each.tests or not any(each.tests <= other or other <= each.tests for other in others):
            kept.append(each)
    return kept


def _last_to_keep(told: Told) -> tuple[bool, int, int]:
    """Of shards in which the same tests recorded, the one that came to the worst is kept, whichever was first."""
    verdict = told.entry["verdict"]
    return verdict != "over", -len(told.tests), WORST_FIRST.index(verdict)


def _named(nodeids: Sequence[str]) -> str:
    return ", ".join(nodeids[:_MOST_NAMED]) + (", ..." if len(nodeids) > _MOST_NAMED else "")


def _at_level(merged: dict[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A criterion at the worst level that it has in a shard: of one that is over, in a shard where it is. A baseline
    may have made it a warning in one shard, and not in another, where it is worse than what is known."""
    over = [entry for entry in entries if entry["verdict"] == "over"] if merged["verdict"] == "over" else []
    levels = {entry.get("level", "error") for entry in over or entries}
    return {**merged, "level": "error" if "error" in levels else "warn"}


# -- facts ----------------------------------------------------------------------------------------------------------

_MOST_NAMED = 3
_LONGEST_ID = 200


def _facts(runs: Sequence[Run], several: Sequence[str]) -> dict[str, Any]:
    facts = [run["run"] for run in runs]
    first = facts[0]
    ids = [part for run in runs for part in parts_of(run)]
    began = min(moment(each["started"]) for each in facts)
    ended = max(moment(each["started"]) + timedelta(seconds=each["duration"] or 0) for each in facts)
    merged = {
        **first,
        "id": _id_of(ids),
        "started": began.isoformat(),
        "duration": (ended - began).total_seconds(),
        "workers": sum(each["workers"] for each in facts),
        "noise_floor": _largest(each["noise_floor"] for each in facts),
        "require_measured": list(dict.fromkeys(glob for each in facts for glob in each.get("require_measured", []))),
        "effort": _effort([each.get("effort", {}) for each in facts]),
        "merged": ids,
        "shards": [shard for run in runs for shard in run["run"].get("shards") or [_shard(run)]],
    }
    if several:
        count = f"{len(several)} {'test' if len(several) == 1 else 'tests'}"
        merged["effort"]["notes"].append(f"{count} ran in more than one shard, told is the worst: {_named(several)}")
    for name in ("python", "platform", "coresys", "pytest"):
        merged[name] = ", ".join(dict.fromkeys(str(each[name]) for each in facts))
    if any(each["machine"] != first["machine"] for each in facts):
        merged["machine"] = _common([each["machine"] for each in facts])
    told = any(each.get("criteria", {}).get("told") for each in facts)
    if any("pyargs" in each for each in facts):
        merged["pyargs"] = list(dict.fromkeys(name for each in facts for name in each.get("pyargs", ())))
    if "criteria" in first:
        merged["criteria"] = {**first["criteria"], "told": told}
    return merged


def _id_of(ids: Sequence[str]) -> str:
    joined = "+".join(ids)
    return joined if len(joined) <= _LONGEST_ID else f"merged-{sha256(joined.encode()).hexdigest()[:32]}"


def _shard(run: Run) -> dict[str, Any]:
    facts = run["run"]
    names = ("id", "started", "duration", "python", "platform", "machine")
    return {**{name: facts[name] for name in names if name in facts}, "tests": len(run["tests"])}


def _common(machines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all of them have; None where they differ. Of systems that differ in their version alone, the name."""
    names = dict.fromkeys(name for machine in machines for name in machine)
    return {name: _same([machine.get(name) for machine in machines], name) for name in names}


def _same(values: Sequence[Any], name: str) -> Any:
    if len(set(map(str, values))) == 1:
        return values[0]
    systems = {str(value).partition(" ")[0] for value in values} if name == "system" and all(values) else set()
    return systems.pop() if len(systems) == 1 else None


def _largest(several: Iterable[Mapping[str, float | None]]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for each in several:
        for key, value in each.items():
            known = found.get(key)
            found[key] = value if known is None or (value is not None and value > known) else known
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
