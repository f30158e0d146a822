"""The probes of a run: the built-in ones, and those that other plugins bring along."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from coresys.budgets.units import parse_quantity
from coresys.errors.hierarchy import UnitError
from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.resolve import PluginBudget
from pytest_coresys.measures import Measure
from pytest_coresys.probes.base import Probe
from pytest_coresys.probes.builtin import CpuShare, LoopBlocked
from pytest_coresys.strangers import StrangerError, ask

_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
UNITS = ("B", "s", "ratio", "count")
_LEVELS = ("off", "warn", "error")


def builtin_probes() -> list[Probe]:
    """Probes of the first run; what comes last starts last and stops first, so the clock of the CPU is innermost."""
    return [LoopBlocked(), CpuShare()]


def plugin_probes(config: Any, known: Mapping[str, Measure]) -> tuple[list[Probe], dict[str, Measure]]:
    """Probes of other plugins, and all measures with theirs. Raises ConfigError, naming the plugin, for a bad one."""
    probes: list[Probe] = []
    measures = dict(known)
    for impl in config.hook.pytest_coresys_probes.get_hookimpls():
        for probe in _asked(impl, config):
            key = _checked_key(probe, impl.plugin_name, measures)  # before anything is asked of what may be no probe
            measures[key] = _measure(probe, impl.plugin_name)
            probes.append(probe)
    return probes, measures


def _asked(impl: Any, config: Any) -> Iterable[Any]:
    try:  # it may be a generator: taken whole in here
        return ask(lambda **given: list(impl.function(**given) or ()), **dict.fromkeys(impl.argnames, config))
    except StrangerError as error:
        problem = f"pytest_coresys_probes raised {error}"
        raise ConfigError(place=f"plugin {impl.plugin_name}", problem=problem) from None


def _checked_key(probe: Any, plugin: str, measures: Mapping[str, Measure]) -> str:
    key = getattr(probe, "key", None)
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        problem = f"a probe's key must read like group.name, in lower case; this one is {key!r}"
    elif key in measures:
        problem = f'there is a measure "{key}" already'
    elif not callable(getattr(probe, "start", None)) or not callable(getattr(probe, "stop", None)):
        problem = f'the probe "{key}" needs start() and stop()'
    else:
        return key
    raise ConfigError(place=f"plugin {plugin}", problem=problem)


def _measure(probe: Any, plugin: str) -> Measure:
    place = f"plugin {plugin}"
    unit = getattr(probe, "unit", None)
    if unit not in UNITS:
        raise ConfigError(place=place, problem=f'"{probe.key}": unit {unit!r} is none of {", ".join(UNITS)}')
    default = _default(probe, unit, place)
    level = getattr(probe, "level", "error" if default is not None else "off")
    if level not in _LEVELS:
        raise ConfigError(place=place, problem=f'"{probe.key}": level {level!r} is none of {", ".join(_LEVELS)}')
    if level != "off" and default is None:
        raise ConfigError(place=place, problem=f'"{probe.key}": level "{level}" needs a default')
    return Measure(probe.key, unit, default, level, str(getattr(probe, "help", "")) or f"measured by {plugin}")


def _default(probe: Any, unit: str, place: str) -> float | None:
    """The limit that a probe comes with: a number in its unit, or text as in a configuration ("2 KB")."""
    default = getattr(probe, "default", None)
    if isinstance(default, str):
        try:
            return parse_quantity(default, unit)
        except UnitError as error:
            raise ConfigError(place=place, problem=f'"{probe.key}": default: {error}') from None
    if default is None or (isinstance(default, (int, float)) and not isinstance(default, bool) and default >= 0):
        return None if default is None else float(default)
    raise ConfigError(place=place, problem=f'"{probe.key}": default {default!r} is not a number')


def plugin_budgets(impls: Iterable[Any], item: Any) -> dict[str, object]:
    """What other plugins say about the budgets of one test; of two about one key, the one that is called first wins.

    Raises ConfigError, naming the plugin, if one of them raises or returns no mapping.
    """
    budgets: dict[str, object] = {}
    for impl in impls:  # in pluggy's list the last is called first
        place = f"plugin {impl.plugin_name}"
        try:
            given = ask(impl.function, **dict.fromkeys(impl.argnames, item))
        except StrangerError as error:
            problem = f"pytest_coresys_budgets raised {error}"
            raise ConfigError(place=place, problem=problem) from None
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise ConfigError(
                place=place, problem=f"pytest_coresys_budgets returned {type(given).__name__}, no mapping"
            )
        budgets.update({str(key): PluginBudget(impl.plugin_name, value) for key, value in given.items()})
    return budgets
