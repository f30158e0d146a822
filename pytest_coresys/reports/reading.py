"""What the terminal and the page both read off the records of tests, so that they say the same. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

SUSPECTED = "suspected:"


def names_of_tests(run: Mapping[str, Any]) -> list[str]:
    """The ids of the tests, with the worker's where several workers ran the same."""
    times = Counter(test["nodeid"] for test in run["tests"])
    return [
        f"{test['nodeid']} [{test['worker']}]" if times[test["nodeid"]] > 1 else test["nodeid"] for test in run["tests"]
    ]


def is_only_warned(test: Mapping[str, Any]) -> bool:
    """Whether it is over by budgets that only warn; one whose markers are wrong is over by no measure at all."""
    over = [each["level"] for each in test["measures"].values() if each["verdict"] == "over"]
    return test["verdict"] == "over" and bool(over) and "error" not in over


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
