"""The pure merge: from what each source says about a key to the limit of one test, which remembers its origin."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import cast

from coresys.budgets.model import Level, Limit
from coresys.budgets.units import format_quantity
from pytest_coresys.config import globs
from pytest_coresys.config.errors import ConfigError, MarkerError, ValueProblem
from pytest_coresys.config.keys import check_key
from pytest_coresys.config.profiles import Effort
from pytest_coresys.config.values import Budget, describe, parse_budget
from pytest_coresys.measures import Measure

MarkerBudget = Budget

_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Override:
    """Budgets for the tests that are in one of ``paths`` and carry one of ``markers`` (empty: no condition)."""

    paths: tuple[str, ...]
    markers: tuple[str, ...]
    budgets: tuple[Budget, ...]

    def matches(self, path: str, marker_names: Collection[str]) -> bool:
        """Whether the test file ``path``, and a test with these markers, is meant."""
        here = not self.paths or any(globs.matches(glob, path) for glob in self.paths)
        return here and (not self.markers or any(name in marker_names for name in self.markers))


@dataclass(frozen=True, slots=True)
class Accept:
    """A finding that is known and agreed: ``locks`` and ``paths`` are "file:line"; ``owner`` as findings name it."""

    key: str
    reason: str
    origin: str
    locks: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class PluginBudget:
    """A value of the hook ``pytest_coresys_budgets`` with the name of the plugin that gave it."""

    plugin: str
    value: object


def merge(measure: Measure, budgets: Iterable[Budget]) -> Limit:
    """Merge what the sources say, weakest first, over the measure's default.

    Each part (max, level, reason) stays in force until a stronger source writes it anew; ``near`` and ``reason``
    belong to the max that they were written for. A max that follows "off" switches the measure on again, at the
    last level it was on at. The origin is the strongest source that says anything.
    Raises ValueProblem if a level is demanded of a key that has no max at all.
    """
    limit = Limit(measure.key, measure.default, cast("Level", measure.level))
    switched_on: Level = limit.level if limit.level != "off" else "error"
    for budget in budgets:
        level = budget.level or (limit.level if budget.maximum is None else switched_on)
        switched_on = level if level != "off" else switched_on
        limit = _next(limit, budget, level)
    if limit.maximum is None and limit.level != "off":
        raise ValueProblem(f'{limit.key}: level "{limit.level}" needs a max: it has none by default')
    return limit


def _next(limit: Limit, budget: Budget, level: Level) -> Limit:
    anew = budget.maximum is not None
    return Limit(
        key=limit.key,
        maximum=budget.maximum if anew else limit.maximum,
        level=level,
        origin=budget.origin,
        near=budget.near if anew else limit.near,
        reason=budget.reason if anew or budget.reason else limit.reason,
    )


class Settings:
    """The configuration of a run, and the limits that it gives to each test.

    Built by ``sources.load_settings``. ``base`` (profile, budgets, ini) is weaker than ``overrides``, these weaker
    than what plugins and markers say, and ``forced`` (``--coresys-set``) is the strongest. Raises ConfigError at
    once for a level without a max, so that ``limits`` can only fail by what a plugin or a marker says.
    """

    def __init__(
        self,
        *,
        profile: str,
        effort: Effort,
        measures: Mapping[str, Measure],
        base: Sequence[Budget] = (),
        overrides: Sequence[Override] = (),
        forced: Sequence[Budget] = (),
        require_measured: Sequence[str] = (),
        accepts: Sequence[Accept] = (),
    ) -> None:
        self.profile, self.effort = profile, effort
        self.require_measured, self.accepts = tuple(require_measured), tuple(accepts)
        self._measures = measures
        self._base, self._overrides, self._forced = tuple(base), tuple(overrides), tuple(forced)
        self._by_match: dict[tuple[int, ...], dict[str, Limit]] = {}  # matching overrides -> limits
        self._check()

    def __repr__(self) -> str:
        return f"<Settings: profile {self.profile}, {len(self._base)} budgets, {len(self._overrides)} overrides>"

    def _check(self) -> None:
        # An override is checked over the base alone: which others match beside it depends on the test.
        for extra in ((), *((budget,) for override in self._overrides for budget in override.budgets)):
            for key in {budget.key for budget in (extra or (*self._base, *self._forced))}:
                said = [budget for budget in (*self._base, *(extra or self._forced)) if budget.key == key]
                try:
                    merge(self._measures[key], said)
                except ValueProblem as problem:
                    raise ConfigError(place=said[-1].origin, problem=problem.problem) from None

    def limits(
        self,
        path: str,
        marker_names: Collection[str],
        marker_budgets: Sequence[MarkerBudget] = (),
        plugin_budgets: Mapping[str, object] = _NOTHING,
    ) -> dict[str, Limit]:
        """The limit of every measure, for a test in the file ``path`` (relative to the root, with "/").

        ``marker_budgets`` come weakest first: class before function, outer before inner. The answer is shared
        between tests while neither markers nor plugins add to it: do not change it. Raises MarkerError if a marker
        gives a level to a key without a max, ConfigError if a plugin's budget is wrong.
        """
        matched = self._matching(path, marker_names)
        if matched not in self._by_match:
            common = self._layers(matched, (), ())
            self._by_match[matched] = {key: merge(measure, common[key]) for key, measure in self._measures.items()}
        limits = self._by_match[matched]
        if not marker_budgets and not plugin_budgets:
            return limits
        layers = self._layers(matched, self._of_plugins(plugin_budgets), marker_budgets)
        changed = dict.fromkeys(chain(plugin_budgets, (budget.key for budget in marker_budgets)))
        return {**limits, **{key: self._merge_own(key, layers[key], marker_budgets) for key in changed}}

    def explain(
        self,
        key: str,
        path: str,
        marker_names: Collection[str],
        marker_budgets: Sequence[MarkerBudget] = (),
        plugin_budgets: Mapping[str, object] = _NOTHING,
        *,
        more: Iterable[str] = (),
    ) -> list[str]:
        """Every source that says something about ``key`` for one test, weakest first, the winner marked "->".

        Raises ConfigError for an unknown key (``more``: what may have been meant, and is no measure), and what
        ``limits`` raises.
        """
        try:
            check_key(key, self._measures, more)
        except ValueProblem as problem:
            raise ConfigError(place="--coresys-explain", problem=problem.problem) from None
        layers = self._layers(self._matching(path, marker_names), self._of_plugins(plugin_budgets), marker_budgets)
        measure, said = self._measures[key], layers[key]
        limit = self._merge_own(key, said, marker_budgets)
        lines = [f"default: {_default_text(measure)}", *(f"{b.origin}: {_text(b, measure.unit)}" for b in said)]
        lines[-1] += f" (in force: {_limit_text(limit, measure.unit)})"
        return [f"   {line}" for line in lines[:-1]] + [f"-> {lines[-1]}"]

    def _matching(self, path: str, marker_names: Collection[str]) -> tuple[int, ...]:
        return tuple(n for n, override in enumerate(self._overrides) if override.matches(path, marker_names))

    def _layers(
        self, matched: tuple[int, ...], plugins: Sequence[Budget], markers: Sequence[Budget]
    ) -> dict[str, list[Budget]]:
        """For each key all that is said about it, weakest first."""
        layers: dict[str, list[Budget]] = {key: [] for key in self._measures}
        overridden = (budget for n in matched for budget in self._overrides[n].budgets)
        for budget in chain(self._base, overridden, plugins, markers, self._forced):
            layers[budget.key].append(budget)
        return layers

    def _of_plugins(self, values: Mapping[str, object]) -> list[Budget]:
        return [self._of_plugin(key, value) for key, value in values.items()]

    def _of_plugin(self, key: str, value: object) -> Budget:
        origin = "plugin"
        if isinstance(value, PluginBudget):
            origin, value = f"plugin {value.plugin}", value.value
        try:
            check_key(key, self._measures)
        except ValueProblem as problem:
            raise ConfigError(place=origin, problem=problem.problem) from None
        try:
            return parse_budget(key, value, self._measures[key], origin)
        except ValueProblem as problem:
            raise ConfigError(place=origin, problem=describe(key, value, problem)) from None

    def _merge_own(self, key: str, said: Sequence[Budget], markers: Sequence[Budget]) -> Limit:
        try:
            return merge(self._measures[key], said)
        except ValueProblem as problem:
            # The configuration alone was checked when it was loaded, so a plugin or a marker is to blame.
            to_blame = [budget for budget in said if budget.level not in (None, "off") and budget not in self._forced]
            error = MarkerError if to_blame[-1] in markers else ConfigError
            raise error(place=to_blame[-1].origin, problem=problem.problem) from None


def _text(budget: Budget, unit: str) -> str:
    parts = [] if budget.maximum is None else [format_quantity(budget.maximum, unit)]
    parts += [] if budget.near is None else [f"near from {format_quantity(budget.near, unit)}"]
    parts += [f"level {budget.level}"] if budget.level else []
    parts += [f"reason: {budget.reason}"] if budget.reason else []
    return ", ".join(parts)


def _default_text(measure: Measure) -> str:
    return _limit_text(Limit(measure.key, measure.default, cast("Level", measure.level)), measure.unit)


def _limit_text(limit: Limit, unit: str) -> str:
    if limit.level == "off" or limit.maximum is None:
        return "off"
    return f"{format_quantity(limit.maximum, unit)}, level {limit.level}"
