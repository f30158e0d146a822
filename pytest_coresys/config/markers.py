"""The arguments of the markers, as plain values: what they mean, or a MarkerError that says what to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coresys.budgets.units import parse_quantity
from coresys.errors.hierarchy import UnitError
from pytest_coresys.config.errors import MarkerError, ValueProblem
from pytest_coresys.config.keys import check_key, matching_keys, unknown
from pytest_coresys.config.resolve import MarkerBudget
from pytest_coresys.config.values import SUB_KEYS, describe, parse_budget, show
from pytest_coresys.criteria.loading import check_id
from pytest_coresys.criteria.model import CriteriaFile
from pytest_coresys.measures import Measure

_USAGE = 'write coresys_budget("memory.growth", max="8 KB"), or coresys_budget(memory_growth="8 KB")'
_COMMON = ("level", "reason")  # in the form with several keys, these are for all of them


def parse_budget_marker(
    args: Sequence[object], kwargs: Mapping[str, object], measures: Mapping[str, Measure], location: str | None = None
) -> list[MarkerBudget]:
    """The budgets of one ``coresys_budget`` marker. ``location`` is where it stands (``tests/test_a.py:12``).

    Raises MarkerError for a typing error in a key or argument, a bad value, or arguments that say nothing.
    """
    place = _place("coresys_budget", location)
    origin = f"marker ({location})" if location else "marker"
    if not args:
        table = _several(kwargs, measures, place)
    elif len(args) == 1 and isinstance(args[0], str):
        table = {args[0]: _single(args[0], kwargs, place)}
    else:
        raise MarkerError(place=place, problem=f"takes one key without a name; {_USAGE}")
    return [_budget(key, value, measures, place, origin) for key, value in table.items()]


def _single(key: str, kwargs: Mapping[str, object], place: str) -> Mapping[str, object]:
    for name in kwargs:
        if name not in SUB_KEYS:
            raise MarkerError(place=place, problem=unknown("argument", name, SUB_KEYS))
    if not kwargs:
        raise MarkerError(place=place, problem=f'"{key}" has neither max nor level; {_USAGE}')
    return kwargs


def _several(kwargs: Mapping[str, object], measures: Mapping[str, Measure], place: str) -> dict[str, object]:
    common = {name: value for name, value in kwargs.items() if name in _COMMON}
    given = {name: value for name, value in kwargs.items() if name not in _COMMON}
    if not given:
        raise MarkerError(place=place, problem=f"names no measure; {_USAGE}")
    return {_dotted(name, measures, place): _with_common(value, common) for name, value in given.items()}


def _with_common(value: object, common: Mapping[str, object]) -> object:
    if not common:
        return value
    return {**common, **value} if isinstance(value, Mapping) else {"max": value, **common}


def _dotted(name: str, measures: Mapping[str, Measure], place: str) -> str:
    """``memory_growth`` -> ``memory.growth``."""
    keys = [key for key in measures if key.replace(".", "_") == name]
    if len(keys) == 1:
        return keys[0]
    if len(keys) > 1:  # measures of other plugins may well be called so
        raise MarkerError(place=place, problem=f'"{name}" may be {" or ".join(keys)}; give the key in quotes instead')
    if name in ("max", "warn"):
        raise MarkerError(place=place, problem=f"{name} needs a key before it; {_USAGE}")
    raise MarkerError(place=place, problem=unknown("key", name, [key.replace(".", "_") for key in measures]))


def _budget(key: str, value: object, measures: Mapping[str, Measure], place: str, origin: str) -> MarkerBudget:
    try:
        check_key(key, measures)
    except ValueProblem as problem:
        raise MarkerError(place=place, problem=problem.problem) from None
    try:
        return parse_budget(key, value, measures[key], origin)
    except ValueProblem as problem:
        raise MarkerError(place=place, problem=describe(key, value, problem)) from None


def parse_skip_marker(
    args: Sequence[object], kwargs: Mapping[str, object], measures: Mapping[str, Measure], location: str | None = None
) -> tuple[tuple[str, ...], str | None]:
    """The keys that ``coresys_skip`` names (no argument: all), in the order of ``measures``, and its reason.

    Raises MarkerError if a glob matches nothing, or an argument is not known.
    """
    place = _place("coresys_skip", location)
    reason = _reason(kwargs, place)
    found: set[str] = set()
    for glob in args or ("*",):
        if not isinstance(glob, str):
            raise MarkerError(place=place, problem=f'{show(glob)} is not a key: write text, such as "memory.*"')
        try:
            found.update(matching_keys(glob, measures))
        except ValueProblem as problem:
            raise MarkerError(place=place, problem=problem.problem) from None
    return tuple(key for key in measures if key in found), reason


def parse_reason(
    marker: str, args: Sequence[object], kwargs: Mapping[str, object], location: str | None = None
) -> str | None:
    """The reason that a marker gives that takes nothing else, if it does. Raises MarkerError for another argument."""
    place = _place(marker, location)
    if args:
        raise MarkerError(place=place, problem=f"takes no argument without a name; write reason={show(args[0])}")
    return _reason(kwargs, place)


@dataclass(frozen=True, slots=True)
class Isolate:
    """What ``coresys_isolated`` says: ``limit`` in seconds, or None for none; ``given``, whether it was said at all."""

    limit: float | None = None
    given: bool = False


def parse_isolated_marker(args: Sequence[object], kwargs: Mapping[str, object], location: str | None = None) -> Isolate:
    """What ``coresys_isolated`` asks for. Raises MarkerError for an unknown argument, or a time that is none."""
    place = _place("coresys_isolated", location)
    if args:
        raise MarkerError(place=place, problem=f"takes no argument without a name; write timeout={show(args[0])}")
    for name in kwargs:
        if name not in ("timeout", "reason"):
            raise MarkerError(place=place, problem=unknown("argument", name, ("timeout", "reason")))
    _reason({name: value for name, value in kwargs.items() if name == "reason"}, place)
    if "timeout" not in kwargs:
        return Isolate()
    value = kwargs["timeout"]
    if value is None:
        return Isolate(given=True)
    try:
        seconds = parse_quantity(value, "s")
    except UnitError as error:
        raise MarkerError(place=place, problem=f"timeout = {show(value)}: {error.problem}") from None
    if seconds <= 0:
        raise MarkerError(place=place, problem=f"timeout = {show(value)}: write a time, or None for none")
    return Isolate(seconds, given=True)


def parse_criterion_marker(
    args: Sequence[object], kwargs: Mapping[str, object], known: CriteriaFile, location: str | None = None
) -> tuple[str, ...]:
    """The ids that ``coresys_criterion`` names. Raises MarkerError for one that there is not."""
    place = _place("coresys_criterion", location)
    for name in kwargs:
        raise MarkerError(place=place, problem=unknown("argument", name, ()))
    if not args:
        raise MarkerError(place=place, problem="names no criterion; write its id in quotes")
    for given in args:
        if not isinstance(given, str):
            raise MarkerError(place=place, problem=f"{show(given)} is no id of a criterion: write text")
        try:
            check_id(given, known)
        except ValueProblem as problem:
            raise MarkerError(place=place, problem=problem.problem) from None
    return tuple(str(given) for given in args)


def _reason(kwargs: Mapping[str, object], place: str) -> str | None:
    for name in kwargs:
        if name != "reason":
            raise MarkerError(place=place, problem=unknown("argument", name, ("reason",)))
    reason = kwargs.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise MarkerError(place=place, problem=f"reason = {show(reason)}: write some text in quotes")
    return reason


def _place(marker: str, location: str | None) -> str:
    name = f"@pytest.mark.{marker}"
    return f"{name} ({location})" if location else name
