"""What the terminal and the page both read off the records of tests, so that they say the same. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pytest_coresys.reports.captured import FAILURE
from pytest_coresys.reports.orders import KEY as CIRCLES
from pytest_coresys.reports.words import OVER, STATES, SUSPECT, WARN, State, state_of

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


def is_only_warned(test: Mapping[str, Any]) -> bool:
    """Whether it is over by budgets that only warn; one whose markers are wrong is over by no measure at all."""
    over = [each["level"] for each in test["measures"].values() if each["verdict"] == "over"]
    return test["verdict"] == "over" and bool(over) and "error" not in over


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
