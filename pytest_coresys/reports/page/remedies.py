"""What would measure a success criterion that was not measured: that follows from why it was not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_coresys.criteria.judge import is_for_want_of_a_pass
from pytest_coresys.criteria.model import BUILT_IN
from pytest_coresys.reports.words import counted

_CALLS = {"check": "check", "slope": "slope"}


def of_criterion(each: Mapping[str, Any], *, several: bool = False) -> str:
    """For one of them, or for all of ``several``, of which it is the first, that are not measured for one reason."""
    why = str(each.get("why") or "")
    if each["statistic"] == "derived":
        missing = [name for name, verdict in each.get("parts", {}).items() if verdict == "not_measured"]
        return f"Measure {', '.join(missing[:3]) or 'its parts'}{' and others' if len(missing) > 3 else ''}."
    if is_for_want_of_a_pass(why):
        return "Have its tests pass first: one that did not is no evidence, and the others alone are too little."
    if "that it needs" in why:
        return _more_samples(each)
    if "recorded nothing" in why:
        return f"Have those tests record it: {_call(each, several)}."
    if why.startswith("too short to tell"):
        return "Record it over a longer time, or more often: the interval has to lie on one side of the limit."
    if why == "no slope was recorded":
        return f"Record the slope with its interval: {_call(each, several)}."
    if why.startswith("no test measured "):
        key = why.removeprefix("no test measured ")
        return f"Give tests a budget for {key}: it follows from what is measured of those that pass."
    if why.startswith("not measured: needs "):
        return f"It can be measured only where there is: {why.removeprefix('not measured: needs ')}."
    if not each["evidence"]:
        return f"Record it: {_call(each, several)} in a test, and run that."
    return "Its tests say why they could not measure it: see to that, and run them again."


def _more_samples(each: Mapping[str, Any]) -> str:
    missing = int(each.get("min_samples") or 0) - int(each["samples"])
    more = f"at least {counted(missing, 'more sample')}" if missing > 0 else "more samples"
    return f"Record {more}, in one test or in several: with fewer the verdict would be luck."


def _call(each: Mapping[str, Any], several: bool) -> str:
    name = "\u2026" if several else f'"{each["id"]}"'
    return f"coresys_criteria.{_CALLS.get(each['statistic'], 'record')}({name}, \u2026)"


def is_ours(run: Mapping[str, Any]) -> bool:
    """Whether the criteria are those of coresys itself, which nobody chose."""
    return bool(run["run"].get("criteria", {}).get("origin") == BUILT_IN)


__all__ = ["is_ours", "of_criterion"]
