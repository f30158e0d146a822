"""What a test is to be held to, read before it runs: limits, what is left out, and whether it may be repeated."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from coresys.budgets.model import Limit, Verdict
from pytest_coresys.config.errors import ConfigError, MarkerError
from pytest_coresys.config.markers import (
    parse_budget_marker,
    parse_criterion_marker,
    parse_reason,
    parse_skip_marker,
)
from pytest_coresys.config.resolve import MarkerBudget, Settings
from pytest_coresys.criteria.model import CriteriaFile
from pytest_coresys.measures import OF_ENVIRONMENTS, OF_SOAK, Measure

_OURS = ("coresys_budget", "coresys_skip", "coresys_no_repeat", "coresys_criterion", "coresys_alone")
_ALONE = "what it measures is measured once"
_RAW = "it runs alone (coresys_alone), with the locks of the interpreter"
SKIPPED = "skipped by marker"  # what reports.model exempts from require_measured


@dataclass(frozen=True)
class Plan:
    """``skipped`` maps keys to the reason; ``problem`` is what is wrong with the test's own markers; ``criteria`` are
    those that it is evidence for, by its markers."""

    limits: Mapping[str, Limit]
    skipped: Mapping[str, str] = field(default_factory=dict)
    no_repeat: str | None = None
    problem: str | None = None
    mark_names: Collection[str] = ()
    marker_budgets: Sequence[MarkerBudget] = ()
    plugin_budgets: Mapping[str, object] = field(default_factory=dict)
    criteria: Sequence[str] = ()
    # Made once for all tests that share the plan, of which nothing was seen: see ``evidence.verdicts_of``.
    on_nothing: dict[object, tuple[Verdict, ...]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def in_force(self) -> Mapping[str, Limit]:
        """The limits of this test that are not off; what a soak judges is of no single test."""
        return {key: limit for key, limit in self.limits.items() if limit.level != "off" and key not in OF_SOAK}

    @cached_property
    def timed(self) -> bool:
        """Whether phases have a budget."""
        return any(key.startswith("time.") for key in self.wanted)

    @cached_property
    def wanted(self) -> Collection[str]:
        """Keys that are in force and not left out."""
        return self.in_force.keys() - self.skipped.keys()


class Planner:
    """Plans the tests of a run. Tests of one file whose markers say nothing to us share one plan."""

    def __init__(
        self, settings: Settings, measures: Mapping[str, Measure], criteria: CriteriaFile | None = None
    ) -> None:
        self._settings, self._measures, self._criteria = settings, measures, criteria
        self._shared: dict[tuple[str, frozenset[str], bool], Plan] = {}

    def plan(
        self,
        *,
        path: str,
        marks: Sequence[Any],
        line: int | None,
        plugin_budgets: Mapping[str, object] | None = None,
        environment: bool = False,
    ) -> Plan:
        """The plan of the test at ``line`` (from 0) of a file; ``marks`` come closest first, as in ``iter_markers``.

        ``environment``: whether it has one of ours. One that has none is not held to what is measured of those, unless
        its own markers, or a plugin, say something about that.
        """
        names = frozenset(mark.name for mark in marks)
        if plugin_budgets or not names.isdisjoint(_OURS):
            location = path if line is None else f"{path}:{line + 1}"
            return self._own(path, marks, names, location, plugin_budgets or {}, environment)
        plan = self._shared.get((path, names, environment))
        if plan is None:
            limits = _without(() if environment else OF_ENVIRONMENTS, self._settings.limits(path, names))
            plan = self._shared[path, names, environment] = Plan(limits, mark_names=names)
        return plan

    def _own(
        self,
        path: str,
        marks: Sequence[Any],
        names: Collection[str],
        location: str,
        given: Mapping[str, object],
        environment: bool,
    ) -> Plan:
        ours = [mark for mark in marks if mark.name in _OURS]
        unused = frozenset() if environment else OF_ENVIRONMENTS
        try:
            budgets, skipped, no_repeat = _read(ours, self._measures, location)
            criteria = self._criteria_of(ours, location)
            asked = {budget.key for budget in budgets}.union(given)
            limits = _without(unused - asked, self._settings.limits(path, names, budgets, given))
            return Plan(limits, skipped, no_repeat, None, names, budgets, given, criteria)
        except (MarkerError, ConfigError) as error:
            return Plan(_without(unused, self._settings.limits(path, names)), problem=str(error), mark_names=names)

    def _criteria_of(self, marks: Sequence[Any], location: str) -> tuple[str, ...]:
        if self._criteria is None:
            return ()
        named = [mark for mark in marks if mark.name == "coresys_criterion"]
        found = [parse_criterion_marker(mark.args, mark.kwargs, self._criteria, location) for mark in reversed(named)]
        return tuple(dict.fromkeys(each for ids in found for each in ids))


def _without(keys: Collection[str], limits: Mapping[str, Limit]) -> Mapping[str, Limit]:
    return {key: limit for key, limit in limits.items() if key not in keys} if keys else limits


def _read(
    marks: Sequence[Any], measures: Mapping[str, Measure], location: str
) -> tuple[list[MarkerBudget], dict[str, str], str | None]:
    budgets: list[MarkerBudget] = []
    skipped: dict[str, str] = {}
    no_repeat = None
    for mark in reversed(marks):  # the closest mark is the last word
        if mark.name == "coresys_budget":
            budgets += parse_budget_marker(mark.args, mark.kwargs, measures, location)
        elif mark.name == "coresys_skip":
            keys, reason = parse_skip_marker(mark.args, mark.kwargs, measures, location)
            skipped.update(dict.fromkeys(keys, f"{SKIPPED}: {reason or 'no reason given'}"))
        elif mark.name == "coresys_alone":
            reason = parse_reason(mark.name, mark.args, mark.kwargs, location)
            no_repeat = f"coresys_alone: {reason or _ALONE}"
            skipped.update(dict.fromkeys((key for key in measures if key.startswith("locks.")), f"{SKIPPED}: {_RAW}"))
        elif mark.name == "coresys_no_repeat":
            no_repeat = parse_reason(mark.name, mark.args, mark.kwargs, location) or "no reason given"
    return budgets, skipped, no_repeat
