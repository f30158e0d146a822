"""Verdict line, facts of the run and the machine, and what was not measured. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coresys.budgets.wording import quoted
from pytest_coresys.measures import MEASURES, OF_SOAK
from pytest_coresys.reports.model import DIED, NOT_JUDGED, NOT_RUN, SKIPPED_BY_MARKER, criteria_over, is_of_one_run
from pytest_coresys.reports.page.rows import Group
from pytest_coresys.reports.reading import SUSPECTED, is_failed_by_budget, unmeasured
from pytest_coresys.reports.words import counted, duration, joined, quantity
from pytest_coresys.wire import NO_BUDGET, WRONG_BUDGETS

_MOST_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict line: ``start`` plain, ``stress`` in the colour of the state; ``rest`` is the sentence below."""

    compliant: bool
    start: str
    stress: str
    rest: str
    title: str


def verdict(run: Mapping[str, Any], groups: Sequence[Group]) -> Verdict:
    """What the run came to, and why."""
    summary, tests = run["summary"], run["tests"]
    compliant = bool(summary["compliant"])
    reasons = _reasons(run)
    by_themselves = _failed_by_themselves(tests)
    if compliant:
        start, stress = "Compliant", _all_within(summary)
    else:
        start, stress = "Not compliant: ", joined(reasons) if reasons else "see below"
    if not tests:
        start, stress = "No test was run", ""
    observed = " Observed only: nothing was failed for it." if run["run"]["mode"] == "observe" else ""
    parts = [f"{number:,} {word}" for word, number in _counts(summary) if number]
    rest = f"Of {counted(summary['tests'], 'test')}: {', '.join(parts)}." if parts else ""
    once = sum(map(is_of_one_run, tests))
    if once:
        rest += f" {once:,} within by one run only, which shows nothing small."
    if by_themselves:
        itself = "itself" if by_themselves == 1 else "themselves"
        rest += f" {counted(by_themselves, 'test')} failed by {itself}, which no budget judges."
    criteria = _criteria_text(run, groups)
    sign = "\u2713" if compliant and tests else "\u2715"
    title = f"{sign} {start}{stress} \u2013 coresys compliance report"
    return Verdict(compliant, start, stress, f"{rest}{criteria}{observed}".strip(), title)


def _all_within(summary: Mapping[str, Any]) -> str:
    if summary["over"]:
        return f", with {counted(summary['over'], 'test')} over budgets that only warn"
    if summary["near"]:
        return f", with {counted(summary['near'], 'test')} near a limit"
    return ""


def _reasons(run: Mapping[str, Any]) -> list[str]:
    tests = run["tests"]
    over = sum(map(is_failed_by_budget, tests))
    of_run = sum(1 for each in run["findings"] if each["level"] == "error")
    criteria = len(criteria_over(run))
    required = len(run["summary"].get("required_unmeasured", ()))
    found = []
    beyond = [f"{criteria} of {counted(len(run['criteria']), 'criterion', 'criteria')}"] if criteria else []
    beyond += [f"{over:,} of {counted(len(tests), 'test')}"] if over else []
    if beyond:
        found.append(f"{' and '.join(beyond)} over budget")
    if of_run:
        found.append(f"{counted(of_run, 'finding')} of the run")
    if required:
        found.append(f"{counted(required, 'figure')} required and not measured")
    return found


def _failed_by_themselves(tests: Sequence[Mapping[str, Any]]) -> int:
    return sum(1 for test in tests if test["outcome"] in ("failed", "error") and not is_failed_by_budget(test))


def _counts(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
    words = {"over": "over", "near": "near a limit", "not_measured": "not measured", "within": "within budget"}
    return [(word, summary[name]) for name, word in words.items()]


def _criteria_text(run: Mapping[str, Any], groups: Sequence[Group]) -> str:
    if not run["criteria"]:
        return ""
    if any(group.folded for group in groups):
        return f" No test of this run recorded anything for the {_criteria_number(run)}."
    counts = Counter(each["verdict"] for each in run["criteria"])
    words = (("over", "over"), ("near", "near"), ("not_measured", "not measured"), ("within", "within"))
    parts = [f"{counts[name]} {word}" for name, word in words if counts[name]]
    return f" Of {_criteria_number(run)}: {', '.join(parts)}."


def _criteria_number(run: Mapping[str, Any]) -> str:
    return counted(len(run["criteria"]), "success criterion", "success criteria")


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
    found = [
        ("Tests", told or "none"),
        ("Duration", f"{duration(about['duration'])} in {workers}"),
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


def _effort(about: Mapping[str, Any], tests: int) -> str:
    effort = about.get("effort")
    if not effort:
        return ""
    share = effort["share"]
    most = "no limit" if share is None else f"at most {quantity(share, 'ratio')} of the run"
    return f"{effort['repeated']:,} of {counted(tests, 'test')}, {duration(effort['spent'])} ({most})"


def versions(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All that the figures depend on, in full."""
    about = run["run"]
    machine = {f"machine, {name}": str(value) for name, value in about["machine"].items()}
    found = {
        "coresys": about["coresys"],
        "pytest": about["pytest"],
        "Python": about["python"],
        "platform": about["platform"],
        **machine,
        "commit": about["commit"] or "not known",
        "run": about["id"],
        "started": about["started"],
        "schema of the run file": str(run["schema"]),
    }
    required = about.get("require_measured")
    if required:
        found["required to be measured"] = ", ".join(required)
    if run["criteria"] and about.get("criteria"):
        found["criteria read from"] = about["criteria"]["file"]
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
    """Suspicions first, for they may be defects; then by how many tests they are about."""
    found: dict[str, tuple[dict[str, None], list[str]]] = {}
    for test in run["tests"]:
        for why, keys in unmeasured(test).items():
            known = found.setdefault(why, ({}, []))
            known[0].update(dict.fromkeys(keys))
            known[1].append(test["nodeid"])
    outcomes: dict[str, set[str]] = {}
    for test in run["tests"]:
        outcomes.setdefault(test["nodeid"], set()).add(test["outcome"])
    told = [
        Gap(
            _what(list(keys)),
            why,
            remedy(why, tests, set().union(*(outcomes[test] for test in tests))),
            tuple(tests[:_MOST_EXAMPLES]),
            len(tests),
        )
        for why, (keys, tests) in found.items()
    ]
    told.sort(key=lambda gap: (not gap.why.startswith(SUSPECTED), -gap.number, gap.why))
    return [*told, *_of_criteria(run), *_of_soak(run), *_off(run)]


def _what(keys: Sequence[str]) -> str:
    if not keys:
        return "all measures"
    return ", ".join(keys) if len(keys) <= 4 else f"{len(keys)} measures"


def remedy(why: str, tests: Sequence[str], outcomes: Collection[str]) -> str:
    """What would measure it. ``outcomes`` are those of the tests that it is about."""
    outcomes = set(outcomes)
    alone = f"python -m pytest {quoted(tests[0])} --coresys-budget" if tests else ""
    for words, told in _REMEDIES:
        if words in why:
            return told.format(alone=alone)
    if why.startswith(SUSPECTED):
        return f"Repeat it until it is settled: {alone} --coresys-profile strict"
    if outcomes <= {"failed", "error"}:
        return "Mend the test: what a failing test leaves says nothing of the code."
    if outcomes <= {"xfailed", "xpassed"}:
        return "It is expected to fail, and what a failing test leaves says nothing: take the mark away once it passes."
    if outcomes <= {"skipped"}:
        return "It was skipped: see why, and run it where it is not."
    return "coresys doctor tells what can be measured on this machine."


_REMEDIES = (
    (NOT_RUN, "Run without -x or --maxfail, or on its own: {alone}"),
    (NOT_JUDGED, "Let the session end by itself: {alone}"),
    (DIED, "Run it alone, without workers, to see what ends the process: {alone} -n 0"),
    (SKIPPED_BY_MARKER, "A coresys_skip marker leaves it out on purpose; take that away to measure it."),
    (NO_BUDGET, "Give it a budget, in [tool.coresys.budgets] or by a marker."),
    (WRONG_BUDGETS, "Mend its markers: the test's own text says what is wrong."),
    ("the effort was spent", "Give repeating more time: {alone} --coresys-profile strict"),
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
    reasons: dict[str, list[str]] = {}
    for each in run["criteria"]:
        if each["verdict"] == "not_measured" and each["statistic"] != "derived":
            reasons.setdefault(str(each.get("why")), []).append(each["id"])
    found = []
    for why, ids in reasons.items():
        what = ", ".join(ids) if len(ids) <= 3 else counted(len(ids), "success criterion", "success criteria")
        told = (
            _CRITERIA_REMEDY
            if "no test recorded" in why
            else "See the row of each, and the tests that are its evidence."
        )
        found.append(Gap(what, why, told, (), len(ids)))
    derived = [each["id"] for each in run["criteria"] if _is_derived_and_open(each)]
    if derived:
        what = ", ".join(derived) if len(derived) <= 3 else f"{len(derived)} criteria that follow from others"
        found.append(
            Gap(what, "some of what they follow from was not measured", "Measure their parts.", (), len(derived))
        )
    return found


def _is_derived_and_open(each: Mapping[str, Any]) -> bool:
    return bool(each["verdict"] == "not_measured" and each["statistic"] == "derived")


_CRITERIA_REMEDY = (
    "For coresys itself: pytest --pyargs validation_suites --coresys-budget. For your own: --coresys-criteria FILE, and"
    " the coresys_criteria fixture in tests that are evidence."
)


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
