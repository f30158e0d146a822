"""Facts of the run and the machine, and what was not measured. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_coresys.criteria.model import BUILT_IN
from pytest_coresys.measures import MEASURES, OF_SOAK
from pytest_coresys.reports.model import DIED, NOT_JUDGED, NOT_RUN, SKIPPED_BY_MARKER
from pytest_coresys.reports.page.again import Again
from pytest_coresys.reports.page.remedies import is_ours, of_criterion
from pytest_coresys.reports.page.suspicions import alike, range_of
from pytest_coresys.reports.reading import SUSPECTED, merged_of, unmeasured
from pytest_coresys.reports.words import counted, duration, quantity
from pytest_coresys.wire import NO_BUDGET, WRONG_BUDGETS

_MOST_EXAMPLES = 3


# -- facts ------------------------------------------------------------------------------------------------------------


def facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of what a reader asks first."""
    about, tests = run["run"], run["tests"]
    outcomes = Counter(test["outcome"] for test in tests)
    told = ", ".join(f"{number:,} {name}" for name in _OUTCOMES if (number := outcomes[name]))
    workers = "1 process" if not about["workers"] else counted(about["workers"], "worker")
    commit = about["commit"]
    profile = about.get("profile", "default")
    machine = about["machine"]
    memory = machine.get("memory")
    parts = [str(machine["cpu"])] if machine.get("cpu") else []
    parts += [counted(machine["cores"], "core")] if machine.get("cores") else []
    parts += [quantity(memory, "B")] if memory else []
    merged = merged_of(run)
    found = [
        ("Merged", counted(len(merged), "run") if merged else ""),
        ("Tests", told or "none"),
        ("Duration", f"{duration(about['duration'])} in {workers}" if not merged else _of_several(about, len(merged))),
        ("Repetitions", _effort(about, len(tests))),
        ("Mode", f"{about['mode']}, profile {profile}"),
        ("Commit", commit[:10] if commit else "not known"),
        ("Started", _moment(about["started"])),
        ("Machine", ", ".join(parts) or "not known"),
        ("Python", f"{about['python']}, {machine.get('system') or about['platform']}"),
    ]
    return [(name, value) for name, value in found if value]


_OUTCOMES = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")


def _moment(started: str) -> str:
    date, _, time = started.partition("T")
    zone = "UTC" if time.endswith(("+00:00", "Z")) else time[8:].lstrip(".0123456789")
    return f"{date} {time[:5]} {zone}".strip()


def _of_several(about: Mapping[str, Any], runs: int) -> str:
    """Of runs that were merged: how long from the first start to the last end; what ran beside what is not told."""
    workers = f", {counted(about['workers'], 'worker')}" if about["workers"] else ""
    return f"{duration(about['duration'])} from the start of {counted(runs, 'run')} to their end{workers}"


def _effort(about: Mapping[str, Any], tests: int) -> str:
    effort = about.get("effort")
    if not effort:
        return ""
    explained = effort.get("explaining") or 0.0
    places = f", and {duration(explained)} to find the places" if explained >= _TELLS_EXPLAINING else ""
    return f"{effort['repeated']:,} of {counted(tests, 'test')}, {duration(effort['spent'])}{places} ({_most(effort)})"


_TELLS_EXPLAINING = 0.1  # seconds


def _most(effort: Mapping[str, Any]) -> str:
    """What was granted: a share, or what there is at the least, which for short runs is more. To find places, again.

    Tests that left something that can be counted may have a fifth more, and the last one ends when it ends.
    """
    if effort["share"] is None:
        return "no limit"
    share, floor = quantity(effort["share"], "ratio"), effort.get("floor")
    if not floor:
        return f"about {share} of the tests' own time each"
    return f"about {share} of the tests' own time each, or {duration(floor)} if that is more"


def versions(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All that the figures depend on, in full."""
    about = run["run"]
    told = {"memory": lambda value: quantity(value, "B")}
    machine = {
        f"machine, {name}": told.get(name, str)(value) for name, value in about["machine"].items() if value is not None
    }
    found = {
        "coresys": about["coresys"],
        "pytest": about["pytest"],
        "Python": about["python"],
        "platform": about["platform"],
        **machine,
        "commit": about["commit"] or "not known",
        "run": about["id"],
        **({"merged from": ", ".join(merged)} if (merged := merged_of(run)) else {}),
        "started": about["started"],
        "schema of the run file": str(run["schema"]),
    }
    required = about.get("require_measured")
    if required:
        found["required to be measured"] = ", ".join(required)
    if run["criteria"] and about.get("criteria"):
        found["criteria read from"] = BUILT_IN if is_ours(run) else about["criteria"]["file"]
    return list(found.items())


def noise(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What an empty test showed in this run, by key."""
    found = []
    for key, value in run["run"]["noise_floor"].items():
        unit = MEASURES[key].unit if key in MEASURES else "count"
        found.append((key, quantity(value, unit)))
    return found


def notes(run: Mapping[str, Any]) -> list[str]:
    """What coresys had to say of the run."""
    return list(run["run"].get("effort", {}).get("notes", ()))


# -- what was not measured ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gap:
    """What was not measured: how often, why, and what would measure it. ``tests`` are some of those it is about."""

    what: str
    why: str
    remedy: str
    tests: tuple[str, ...]
    number: int


def gaps(run: Mapping[str, Any]) -> list[Gap]:
    """A gap for each reason, by how many tests it is about; reasons that differ in figures alone are one.

    Suspicions are none: they have a section of their own.
    """
    found: dict[str, _Reason] = {}
    for test in run["tests"]:
        for why, keys in unmeasured(test).items():
            if not why.startswith(SUSPECTED):
                known = found.setdefault(alike(why), _Reason(why))
                known.whys.setdefault(why)
                known.keys.update(dict.fromkeys(keys))
                known.all = known.all or not keys
                known.tests.append(test["nodeid"])
                known.outcomes.add(test["outcome"])
    again = Again(run)
    told = [
        Gap(
            "all measures" if each.all else _what(list(each.keys)),
            range_of(list(each.whys)),
            remedy(each.why, each.tests, each.outcomes, again),
            tuple(each.tests[:_MOST_EXAMPLES]),
            len(each.tests),
        )
        for each in found.values()
    ]
    told.sort(key=lambda gap: (-gap.number, gap.why))
    return [*told, *_of_criteria(run), *_of_soak(run), *_off(run)]


@dataclass(slots=True)
class _Reason:
    """Of tests that were not measured, in the words of the first of them."""

    why: str
    whys: dict[str, None] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)
    all: bool = False
    tests: list[str] = field(default_factory=list)
    outcomes: set[str] = field(default_factory=set)


def _what(keys: Sequence[str]) -> str:
    return ", ".join(keys) if len(keys) <= 4 else f"{len(keys)} measures"


def remedy(why: str, tests: Sequence[str], outcomes: Collection[str], again: Again) -> str:
    """What would measure it. ``outcomes`` are those of the tests that it is about."""
    outcomes = set(outcomes)
    for words, told, *strict in _REMEDIES:
        if words in why:
            return told.replace("{alone}", again.text(tests[:1], strict=bool(strict)))
    if outcomes <= {"failed", "error"}:
        return "Mend the test: what a failing test leaves says nothing of the code."
    if outcomes <= {"xfailed", "xpassed"}:
        return "It is expected to fail, and what a failing test leaves says nothing: take the mark away once it passes."
    if outcomes <= {"skipped"}:
        return "It was skipped: see why, and run it where it is not."
    return "coresys doctor tells what can be measured on this machine."


_REMEDIES: tuple[tuple[str, ...], ...] = (
    (NOT_RUN, "Run without -x or --maxfail, or on its own: {alone}"),
    (NOT_JUDGED, "Let the session end by itself: {alone}"),
    (DIED, "Run it alone, without workers, to see what ends the process: {alone} -n 0"),
    (SKIPPED_BY_MARKER, "A coresys_skip marker leaves it out on purpose; take that away to measure it."),
    (NO_BUDGET, "Give it a budget, in [tool.coresys.budgets] or by a marker."),
    (WRONG_BUDGETS, "Mend its markers: the test's own text says what is wrong."),
    ("effort", "Give repeating more time: {alone}", "strict"),
    ("deadlock", "Mend the deadlock first: each repetition would wait for it again."),
    ("bound was not reached", "Make the bound smaller in a test of its own, or give it a budget that allows for it."),
    ("which is still up", "Give the test a fixture of its own scope, which ends before the test is judged."),
    ("coresys_no_repeat", "Its marker forbids repeating; a budget of its own may allow for what one run leaves."),
    (
        "could not be repeated",
        "Give it what a repetition needs (a fixture of its own), or accept what one run can show.",
    ),
)


def _of_criteria(run: Mapping[str, Any]) -> list[Gap]:
    told = run["run"].get("criteria", {}).get("told", run["criteria"])
    if not told and is_ours(run):
        return []  # they are about other runs, and folded: one word about them is enough
    reasons: dict[str, list[Mapping[str, Any]]] = {}
    for each in run["criteria"]:
        if each["verdict"] == "not_measured" and each["statistic"] != "derived":
            reasons.setdefault(alike(str(each.get("why"))), []).append(each)
    found = []
    for several in reasons.values():
        ids, why = [each["id"] for each in several], range_of([str(each.get("why")) for each in several])
        what = ", ".join(ids) if len(ids) <= 3 else counted(len(ids), "success criterion", "success criteria")
        remedy = of_criterion(several[0], several=len(several) > 1)
        if len(several) > 1 and "that it needs" in why:
            remedy = "Record more samples, as many as the row of each says."
        if is_ours(run) and why == "no test is evidence for it":
            remedy = f"{_OURS} {remedy}"
        found.append(Gap(what, why, remedy, (), len(ids)))
    derived = [each["id"] for each in run["criteria"] if _is_derived_and_open(each)]
    if derived:
        what = ", ".join(derived) if len(derived) <= 3 else f"{len(derived)} criteria that follow from others"
        found.append(
            Gap(what, "some of what they follow from was not measured", "Measure their parts.", (), len(derived))
        )
    return found


def _is_derived_and_open(each: Mapping[str, Any]) -> bool:
    return bool(each["verdict"] == "not_measured" and each["statistic"] == "derived")


_OURS = "For coresys itself: pytest --pyargs validation_suites --coresys-budget. For your own code:"


def _of_soak(run: Mapping[str, Any]) -> list[Gap]:
    if run["soak"]:
        return [
            Gap(key, str(entry.get("why")), "Soak for longer.", (), 1)
            for key, entry in run["soak"].items()
            if entry.get("verdict") == "not_measured"
        ]
    keys = ", ".join(OF_SOAK)
    return [Gap(keys, "only a soak can tell", 'pytest --coresys-budget --coresys-soak "10 min"', (), 0)]


def _off(run: Mapping[str, Any]) -> list[Gap]:
    used = {key for test in run["tests"] for key, each in test["measures"].items() if each["level"] != "off"}
    off = [key for key, measure in MEASURES.items() if key not in used and measure.default is None]
    if not off:
        return []
    example = f'--coresys-set "{off[0]}={_LIMITS.get(MEASURES[off[0]].unit, "1")}"'
    remedy = f"Set one: {example}, or in [tool.coresys.budgets]"
    return [Gap(", ".join(off), "no budget is in force for them", remedy, (), 0)]


_LIMITS = {"B": "256 MB", "s": "1 s", "ratio": "80 %", "count": "20"}
