"""Verdicts, figures and shares, as reports write them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from coresys.budgets.units import format_quantity


@dataclass(frozen=True, slots=True)
class State:
    """How a verdict is shown: the class that gives its colour and sign, and the word, for colour alone says nothing."""

    name: str
    word: str


OVER = State("over", "over")
SUSPECT = State("suspect", "suspected")
WARN = State("warn", "over (warns)")
NEAR = State("near", "near")
PART = State("part", "partly measured")
WITHIN = State("within", "within")
UNMEASURED = State("none", "not measured")

# The worst first, but that what is not measured may be worse. A suspicion may yet be an error; of what is partly
# measured all that was is within.
ALL_STATES = (OVER, SUSPECT, WARN, NEAR, UNMEASURED, PART, WITHIN)
STATES: Mapping[str, State] = {"over": OVER, "near": NEAR, "within": WITHIN, "not_measured": UNMEASURED}
SIGNS = {"<": "<", "<=": "\u2264", "==": "=", ">=": "\u2265", ">": ">"}
VERDICTS = ("within", "near", "over", "not_measured")
WORST_FIRST = tuple(state.name for state in ALL_STATES)


def state_of(entry: Mapping[str, Any], *, suspected: bool = False) -> State:
    """That of a measure or a criterion; over a limit of level warn is a state of its own, which fails nothing.

    What is ``suspected`` is neither: nothing was shown yet, and nothing is well.
    """
    if suspected:
        return SUSPECT
    if entry["verdict"] == "over" and entry.get("level") == "warn":
        return WARN
    return STATES[entry["verdict"]]


@lru_cache(maxsize=8192, typed=True)  # typed: True and 1 are written differently
def quantity(value: object, unit: str) -> str:
    """The figure with its unit; truths as words, and what JSON could not carry as infinite."""
    if value is None:
        return "infinite"
    if unit == "bool" or isinstance(value, bool):
        return "yes" if value else "no"
    assert isinstance(value, (int, float))
    return format_quantity(float(value), unit)


def is_below(measure: Mapping[str, Any]) -> bool:
    """Whether all that is known of it is that it is less than one run can show (``resolution``)."""
    value, resolution = measure["value"], measure.get("resolution")
    within = measure["verdict"] in ("within", "near")
    return bool(
        within and measure["evidence"] == "screened" and resolution and value is not None and value < resolution
    )


def figure_of(measure: Mapping[str, Any]) -> str:
    """What was measured, with its unit: ``< 16 KiB`` where one run shows nothing that is smaller."""
    if is_below(measure):
        return f"< {quantity(measure['resolution'], measure['unit'])}"
    return quantity(measure["value"], measure["unit"])


def limit_of(measure: Mapping[str, Any]) -> str:
    """The limit of a measure with its unit."""
    return "no limit" if measure["limit"] is None else quantity(measure["limit"], measure["unit"])


def share_of(value: object, limit: object) -> float | None:
    """How much of its budget was used; None where there is no such share: nothing measured, or a limit of zero."""
    if isinstance(value, bool) or isinstance(limit, bool):
        return None
    if not isinstance(value, (int, float)) or not isinstance(limit, (int, float)) or limit <= 0:
        return None
    return float(value) / float(limit)


def share_text(share: float | None) -> str:
    """``178 %``; far beyond a limit the digits say nothing."""
    if share is None:
        return "\u2013"
    if share >= 100:
        return f"{share:,.0f} times"
    return f"{share * 100:.0f} %"


def beyond_text(value: object, limit: object) -> str:
    """``84 % over``, or ``12 times over``, or nothing where the limit is zero."""
    share = share_of(value, limit)
    if share is None or share <= 1:
        return ""
    return f"{share:,.0f} times the budget" if share >= 3 else f"{(share - 1) * 100:.0f} % over"


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 test``, ``1,284 tests``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def joined(parts: list[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def duration(seconds: float) -> str:
    """``3 min 47 s``; short ones as ``440 ms``."""
    if seconds < 60:
        return format_quantity(float(f"{seconds:.3g}"), "s")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
