"""The verdict line: what the run came to, in words, with all that keeps it from being a plain pass beside it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_coresys.reports.model import NOT_JUDGED, NOT_RUN, criteria_over, has_run, is_of_one_run
from pytest_coresys.reports.page.remedies import is_ours
from pytest_coresys.reports.page.rows import Group
from pytest_coresys.reports.reading import (
    failed_by_itself,
    is_failed_by_budget,
    merged_of,
    state_of_test,
    suspicions_of,
)
from pytest_coresys.reports.words import NEAR, OVER, SUSPECT, UNMEASURED, WARN, WITHIN, State, counted, joined, state_of

Tone = Literal["good", "half", "bad", "none"]
_SIGNS: Mapping[Tone, str] = {"good": "\u2713", "half": "!", "bad": "\u2715", "none": "\u2013"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict line: ``start`` plain, ``stress`` in the colour of the tone; ``rest`` is the sentence below.

    The tone is good only where nothing is open: a compliant run with suspicions, or of which something was not measured
    or not run, is half a pass, and says so in the line itself.
    """

    tone: Tone
    start: str
    stress: str
    rest: str
    title: str


def verdict(run: Mapping[str, Any], groups: Sequence[Group]) -> Verdict:
    """What the run came to, and why."""
    tests = run["tests"]
    states = Counter(map(state_of_test, tests))
    start, stress, tone = _line(run, states, groups)
    title = f"{_SIGNS[tone]} {start}{stress} \u2013 coresys compliance report"
    return Verdict(tone, start, stress, " ".join(filter(None, _sentences(run, states, groups))), title)


# -- the line ---------------------------------------------------------------------------------------------------------


def _line(run: Mapping[str, Any], states: Counter[State], groups: Sequence[Group]) -> tuple[str, str, Tone]:
    tests = run["tests"]
    if not tests or not has_run(run):
        of = f", of {counted(len(tests), 'test')} that there are" if tests else ""
        return f"No test was run{of}", "", "none"
    observed = " (only observed, nothing was failed)" if run["run"]["mode"] == "observe" else ""
    if not run["summary"]["compliant"]:
        found = _reasons(run)
        reasons = joined(found) if found else "see below"
        stopped = _stopped(tests)
        return f"Not compliant{observed}: ", f"{reasons}{'; ' if stopped else ''}{stopped}", "bad"
    open_ = _open(run, states, groups)
    known = [
        *([f"{counted(states[WARN], 'test')} over budgets that only warn"] if states[WARN] else []),
        *_warned(run),
        *([f"{counted(states[NEAR], 'test')} near a limit"] if states[NEAR] else []),
    ]
    told = [*open_, *known]
    return f"Compliant{observed}", f", with {joined(told)}" if told else "", "half" if open_ else "good"


def _warned(run: Mapping[str, Any]) -> list[str]:
    """What is over, beside tests, and only warns: by its level, or because a baseline knows it."""
    criteria = [each for each in run["criteria"] if state_of(each) is WARN and each["statistic"] != "derived"]
    findings = [each for each in run["findings"] if each["level"] == "warn"]
    return [
        *([f"{counted(len(criteria), 'criterion', 'criteria')} over that only warn"] if criteria else []),
        *([f"{counted(len(findings), 'finding')} of the run that only warn"] if findings else []),
    ]


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


def _open(run: Mapping[str, Any], states: Counter[State], groups: Sequence[Group]) -> list[str]:
    """What may yet be wrong in a run that is compliant: it belongs beside the word."""
    tests, found = run["tests"], []
    if stopped := _stopped(tests):
        found.append(stopped)
    if itself := sum(map(failed_by_itself, tests)):
        found.append(f"{counted(itself, 'test')} that failed by {'itself' if itself == 1 else 'themselves'}")
    if suspicions := suspicions_of(run):
        found.append(counted(suspicions, "suspicion"))
    if unmeasured := states[UNMEASURED] - _unrun(tests):
        found.append(f"{unmeasured:,} of {counted(len(tests), 'test')} not measured")
    missing = sum(1 for each in run["criteria"] if each["verdict"] == "not_measured")
    if missing and not any(group.folded for group in groups):
        found.append(f"{missing} of {counted(len(run['criteria']), 'criterion', 'criteria')} not measured")
    return found


def _unrun(tests: Sequence[Mapping[str, Any]]) -> int:
    return sum(1 for test in tests if test["why"] in (NOT_RUN, NOT_JUDGED))


def _stopped(tests: Sequence[Mapping[str, Any]]) -> str:
    unrun = _unrun(tests)
    return f"{unrun:,} of {counted(len(tests), 'test')} not run to the end, as the session was stopped" if unrun else ""


# -- the sentences below ----------------------------------------------------------------------------------------------

_WORDS: Mapping[State, str] = {
    OVER: "over",
    SUSPECT: "suspected",
    WARN: "over budgets that only warn",
    NEAR: "near a limit",
    UNMEASURED: "not measured",
    WITHIN: "within budget",
}


def _sentences(run: Mapping[str, Any], states: Counter[State], groups: Sequence[Group]) -> list[str]:
    tests = run["tests"]
    merged = merged_of(run)
    parts = [f"{states[state]:,} {word}" for state, word in _WORDS.items() if states[state]]
    once = sum(map(is_of_one_run, tests))
    itself = sum(map(failed_by_itself, tests))
    suspicions = suspicions_of(run)
    them = "it" if suspicions == 1 else "them"
    return [
        f"{counted(len(merged), 'run')}, merged." if merged else "",
        f"Of {counted(len(tests), 'test')}: {', '.join(parts)}." if parts else "",
        f"{once:,} within by one run only, which shows nothing small." if once else "",
        f"{counted(suspicions, 'suspicion')}: nothing failed by {them}, and not measured." if suspicions else "",
        f"{counted(itself, 'test')} failed by {'itself' if itself == 1 else 'themselves'}, which no budget judges."
        if itself
        else "",
        _criteria_text(run, groups),
        "Observed only: nothing was failed for it." if run["run"]["mode"] == "observe" else "",
    ]


def _criteria_text(run: Mapping[str, Any], groups: Sequence[Group]) -> str:
    if not run["criteria"]:
        return ""
    number = counted(len(run["criteria"]), "success criterion", "success criteria")
    if any(group.folded for group in groups):
        if is_ours(run):
            return ""  # nobody asked for them: they are told where they are folded
        return f"No test of this run recorded anything for the {number}."
    counts = Counter(each["verdict"] for each in run["criteria"])
    words = (("over", "over"), ("near", "near"), ("not_measured", "not measured"), ("within", "within"))
    warns = sum(1 for each in run["criteria"] if state_of(each) is WARN)
    of_level = {"over": f" ({warns} of level warn)" if warns else ""}
    parts = [f"{counts[name]} {word}{of_level.get(name, '')}" for name, word in words if counts[name]]
    return f"Of {number}: {', '.join(parts)}."


__all__ = ["Verdict", "suspicions_of", "verdict"]
