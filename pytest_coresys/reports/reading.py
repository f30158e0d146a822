"""What the terminal and the page both read off the records of tests, so that they say the same. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_coresys.reports.captured import FAILURE
from pytest_coresys.reports.orders import KEY as CIRCLES
from pytest_coresys.reports.words import (
    NEAR,
    OVER,
    STATES,
    SUSPECT,
    UNMEASURED,
    WARN,
    WITHIN,
    State,
    counted,
    joined,
    state_of,
)

SUSPECTED = "suspected:"
_FAILED = frozenset({"failed", "error"})


def names_of_tests(run: Mapping[str, Any]) -> list[str]:
    """The ids of the tests, with the worker's where several workers ran the same."""
    times = Counter(test["nodeid"] for test in run["tests"])
    return [
        f"{test['nodeid']} [{test['worker']}]" if times[test["nodeid"]] > 1 else test["nodeid"] for test in run["tests"]
    ]


def merged_of(run: Mapping[str, Any]) -> list[str]:
    """The ids of the runs that this one was merged from; none for a run of its own."""
    about = run["run"]
    return [str(each) for each in about.get("merged", ())] or [str(each["id"]) for each in about.get("shards", ())]


def suspected(test: Mapping[str, Any]) -> list[str]:
    """The keys of what is suspected of a test, and was shown of nothing: such findings fail no test.

    A figure may be over its limit, and a suspicion all the same: it was seen once.
    """
    found = [key for key, each in test["measures"].items() if is_suspicion(each)]
    if findings := test.get("findings"):  # a record may be asked for its measures alone
        shown = {each["key"] for each in findings if each["level"] != "suspicion"}
        found += [each["key"] for each in findings if each["level"] == "suspicion"]
        return [key for key in dict.fromkeys(found) if key not in shown]
    return found


def is_suspicion(measure: Mapping[str, Any]) -> bool:
    """Whether it is not measured because what was seen of it could not be settled."""
    return measure["verdict"] == "not_measured" and (measure.get("why") or "").startswith(SUSPECTED)


def state_of_test(test: Mapping[str, Any]) -> State:
    """How the verdict of a test is shown: that of its worst measure, and never better than what is suspected."""
    verdict = STATES[test["verdict"]]
    doubtful = suspected(test)
    if verdict is OVER:
        over = {
            state_of(each, suspected=key in doubtful)
            for key, each in test["measures"].items()
            if each["verdict"] == "over" and each["level"] != "off"
        }
        # One whose markers are wrong is over by no measure at all.
        return next((state for state in (OVER, SUSPECT, WARN) if state in over), OVER)
    return SUSPECT if doubtful else verdict


def tests_text(tests: Iterable[Mapping[str, Any]]) -> str:
    """How many tests there are of each state: ``53 within, 0 near, 1 over, 4 not measured, 1 warns only, 2 suspected``.

    Each is one of these, as on the page: what only warns is not over, and what is suspected not plainly unmeasured.
    """
    states = Counter(map(state_of_test, tests))
    parts = [f"{states[state]} {state.word}" for state in (WITHIN, NEAR, OVER, UNMEASURED)]
    parts += [f"{states[WARN]} {'warns' if states[WARN] == 1 else 'warn'} only"] if states[WARN] else []
    parts += [f"{states[SUSPECT]} suspected"] if states[SUSPECT] else []
    return ", ".join(parts)


def criteria_counts(criteria: Iterable[Mapping[str, Any]]) -> str:
    """The same of criteria: ``128 within, 3 near, 3 over (1 of level warn), 0 not measured``."""
    states = Counter(map(state_of, criteria))
    over = states[OVER] + states[WARN]
    warn = f" ({states[WARN]} of level warn)" if states[WARN] else ""
    return f"{states[WITHIN]} within, {states[NEAR]} near, {over} over{warn}, {states[UNMEASURED]} not measured"


def suspicions_of(run: Mapping[str, Any]) -> int:
    """How many there are: of tests, by measure, and of the run."""
    of_run = sum(1 for each in run["findings"] if each["level"] == "suspicion")
    return of_run + sum(len(suspected(test)) for test in run["tests"])


def failing_beside_tests(run: Mapping[str, Any]) -> str:
    """What keeps a run from being compliant though each test may have passed, or nothing."""
    criteria = sum(1 for each in run["criteria"] if state_of(each) is OVER)
    findings = sum(1 for each in run["findings"] if each["level"] == "error")
    required = len(run["summary"].get("required_unmeasured", ()))
    found = [
        *([counted(criteria, "success criterion", "success criteria")] if criteria else []),
        *([f"{counted(findings, 'finding')} of the run"] if findings else []),
        *([f"{counted(required, 'figure')} required and not measured"] if required else []),
    ]
    return joined(found) if found else ""


def excuses(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a baseline excuses: of which test, criterion or part of the run and of what, and what the baseline says."""
    found = [
        (f"{test['nodeid']} {key}", str(each["reason"]))
        for test in run["tests"]
        for key, each in test["measures"].items()
        if each["verdict"] == "over" and each["level"] == "warn" and _is_excuse(each.get("reason"))
    ]
    told = [(f"{each.get('owner') or 'the run'} {each['key']}", each) for each in run["findings"]]
    told += [(str(each["id"]), each) for each in run["criteria"] if each["verdict"] == "over"]
    for of, each in told:
        if each.get("level") == "warn" and each.get("details") and _is_excuse(each["details"][0]):
            found.append((of, str(each["details"][0])))
    return found


def _is_excuse(text: object) -> bool:
    """Whether ``baseline`` worded it, rather than the author of a limit."""
    return re.match(r"known: .*, recorded \d{4}-|recorded in ", str(text)) is not None


def run_text(run: Mapping[str, Any]) -> str:
    """The whole run in one line: its tests, whether it is compliant, and what keeps it from being so beside tests."""
    observed = " (only observed)" if run["run"]["mode"] == "observe" else ""
    parts = [tests_text(run["tests"]), f"{'' if run['summary']['compliant'] else 'not '}compliant{observed}"]
    failing = failing_beside_tests(run)
    parts += [f"{'over: ' if observed else 'failed by '}{failing}"] if failing else []
    warned = sum(1 for each in run["findings"] if each["level"] == "warn")
    parts += [f"{counted(warned, 'finding')} of the run that warn{'s' if warned == 1 else ''} only"] if warned else []
    suspected = sum(1 for each in run["findings"] if each["level"] == "suspicion")
    parts += [f"{counted(suspected, 'suspicion')} of the run"] if suspected else []
    return "; ".join(parts)


def failed_by_itself(test: Mapping[str, Any]) -> bool:
    """Whether a test failed by an assertion or an error of its own, whatever a budget says beside that."""
    if test["outcome"] not in _FAILED:
        return False
    texts = test.get("captured", ())
    return not is_failed_by_budget(test) or any(each["name"] == FAILURE for each in texts)


def largest_of(run: Mapping[str, Any]) -> dict[str, tuple[str, float | None]]:
    """The unit of each measure, and its largest figure in any test; None where that is not known.

    Findings of the run are of no test. Circles of locks are counted, each is one; others have no figure, and beside
    them zero would be none either.
    """
    found: dict[str, tuple[str, float | None]] = {}
    for test in run["tests"]:
        for key, measure in test["measures"].items():
            value, (_, most) = measure["value"], found.get(key, ("", None))
            found[key] = measure["unit"], most if value is None or (most is not None and most >= value) else value
    shown = Counter(each["key"] for each in run["findings"] if each["level"] != "suspicion")
    for key in {each["key"] for each in run["findings"]} & {*found}:
        unit, most = found[key]
        if key == CIRCLES and shown[key]:
            found[key] = unit, max(most or 0, shown[key])
        elif not most:
            found[key] = unit, None
    return found


def is_open(why: str) -> bool:
    """Whether more repetitions could settle it: not where there can be none, nor where something else has to happen."""
    return not any(words in why for words in _NOT_SETTLED_BY_MORE)


_NOT_SETTLED_BY_MORE = (
    *("coresys_no_repeat", "could not be repeated", "the most there may be"),
    *("which was not reached", "bound was not reached", "which did not pass", "which is still up"),
    *("does not run in a repetition", "which was not met", "older ones ended meanwhile", "had a deadlock"),
)


def is_failed_by_budget(test: Mapping[str, Any]) -> bool:
    """Whether a budget fails it, or would if the run did not only observe."""
    return any(finding["level"] == "error" for finding in test["findings"])


def unmeasured(test: Mapping[str, Any]) -> dict[str, list[str]]:
    """Why something of a test was not measured, and which measures: none are named where it is all for one reason."""
    measures = {key: each for key, each in test["measures"].items() if each["level"] != "off"}
    if not measures:
        return {str(test["why"]): []} if test["verdict"] == "not_measured" else {}
    reasons: dict[str, list[str]] = {}
    for key, measure in measures.items():
        if measure["verdict"] == "not_measured":
            reasons.setdefault(str(measure["why"]), []).append(key)
    if len(reasons) == 1 and len(measures) == sum(map(len, reasons.values())):
        return {why: [] for why in reasons}
    return reasons
