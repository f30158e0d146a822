"""One budget value, from wherever it comes: text, a count, or a table of max, warn, level and reason. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from coresys.budgets.model import Level
from coresys.budgets.units import format_quantity, parse_quantity
from coresys.errors.hierarchy import UnitError
from pytest_coresys.config.errors import ValueProblem
from pytest_coresys.config.keys import unknown
from pytest_coresys.measures import Measure

LEVELS: tuple[str, ...] = ("off", "warn", "error")
SUB_KEYS: tuple[str, ...] = ("max", "warn", "level", "reason")


@dataclass(frozen=True, slots=True)
class Budget:
    """What one source says about one key. None: it says nothing about that, and what is weaker stays in force.

    ``maximum`` and ``near`` are in the measure's base unit; ``origin`` is where it was written.
    """

    key: str
    origin: str
    maximum: float | None = None
    near: float | None = None
    level: Level | None = None
    reason: str | None = None


def parse_budget(key: str, value: object, measure: Measure, origin: str) -> Budget:
    """Read one value: ``"2 KB"``, a whole number for counts, a level alone (``"off"``), or a table.

    Raises ValueProblem, which knows the sub-key, but not where the value was written.
    """
    if isinstance(value, Mapping):
        return _parse_table(key, value, measure, origin)
    if isinstance(value, str) and value.strip() in LEVELS:
        return Budget(key, origin, level=cast("Level", value.strip()))
    return Budget(key, origin, maximum=_quantity(value, measure.unit))


def _parse_table(key: str, table: Mapping[object, object], measure: Measure, origin: str) -> Budget:
    for name in table:
        if name not in SUB_KEYS:
            raise ValueProblem(unknown("key", str(name), SUB_KEYS), (str(name),))
    maximum = _quantity(table["max"], measure.unit, "max") if "max" in table else None
    level = parse_level(table["level"]) if "level" in table else None
    if maximum is None and level is None:
        raise ValueProblem("says neither max nor level")
    return Budget(
        key=key,
        origin=origin,
        maximum=maximum,
        near=_near(table["warn"], maximum, measure.unit) if "warn" in table else None,
        level=level,
        reason=parse_text(table["reason"], "reason") if "reason" in table else None,
    )


def _near(value: object, maximum: float | None, unit: str) -> float:
    near = _quantity(value, unit, "warn")
    if maximum is None:
        raise ValueProblem("needs a max beside it", ("warn",))
    if near > maximum:
        raise ValueProblem(f"is above max ({format_quantity(maximum, unit)})", ("warn",))
    return near


def _quantity(value: object, unit: str, *where: str) -> float:
    try:
        return parse_quantity(value, unit)
    except UnitError as error:
        raise ValueProblem(error.problem, where) from None


def parse_level(value: object) -> Level:
    """One of the three levels. Raises ValueProblem at ``("level",)``."""
    if not isinstance(value, str) or value not in LEVELS:
        word = value if isinstance(value, str) else show(value)
        raise ValueProblem(unknown("level", word, LEVELS), ("level",))
    return cast("Level", value)


def parse_text(value: object, *where: str) -> str:
    """Text that says something. Raises ValueProblem at ``where``."""
    if not isinstance(value, str) or not value.strip():
        raise ValueProblem("write some text in quotes", where)
    return value


def show(value: object) -> str:
    """A value as its author wrote it, or nearly, and never long."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # cycles, odd keys, endless integers: all possible in a marker
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."


def describe(key: str, value: object, problem: ValueProblem) -> str:
    """``KEY.max = VALUE: what is wrong``, with the sub-value in question."""
    for name in problem.where:
        if isinstance(value, Mapping):
            value = value.get(name)
    return f"{'.'.join((key, *problem.where))} = {show(value)}: {problem.problem}"
