"""Quantities as people write them ("2 KB", "5 %", "1 MB/h") to and from base units. Pure.

Base units are "B" (bytes), "s" (seconds), "ratio" (0.05 is 5 %), "count", and "B/h" (bytes an hour).
Prefixes of bytes are powers of 1024 whichever way they are spelt; output spells them KiB, MiB and GiB.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import NoReturn

from coresys.errors.hierarchy import UnitError

_KIB = 1024
# Our own, for the one in force may be the code under test's; all digits of any float, so that rounding never fails.
_CONTEXT = Context(prec=400)
_ENORMOUS = Decimal(10) ** 15  # from here on, digits say less than their number


@dataclass(frozen=True, slots=True)
class _Scale:
    """How one base unit is written: ``read`` maps a lower-case unit to base units, ``show`` is smallest first."""

    read: Mapping[str, Decimal]
    show: tuple[tuple[str, Decimal], ...]
    names: str
    example: str
    zero: str


def _byte_scale(suffix: str) -> _Scale:
    sizes = {"b": Decimal(1)}
    for power, letter in enumerate("kmg", start=1):
        sizes[f"{letter}b"] = sizes[f"{letter}ib"] = Decimal(_KIB**power)
    shown = tuple((f"{name}{suffix}", sizes[name.lower()]) for name in ("B", "KiB", "MiB", "GiB"))
    return _Scale(
        read={f"{name}{suffix}": size for name, size in sizes.items()},
        show=shown,
        names=", ".join(f"{name}{suffix}" for name in ("B", "KB", "MB", "GB")),
        example=f"1 MB{suffix}" if suffix else "2 KB",
        zero=f"0 B{suffix}",
    )


_TIMES = {"us": Decimal("1e-6"), "ms": Decimal("1e-3"), "s": Decimal(1), "min": Decimal(60), "h": Decimal(3600)}
_SCALES: dict[str, _Scale] = {
    "B": _byte_scale(""),
    "B/h": _byte_scale("/h"),
    "s": _Scale(
        # Both code points that look like a micro sign: keyboards give one, Greek letters the other.
        read={**_TIMES, "\u00b5s": _TIMES["us"], "\u03bcs": _TIMES["us"]},
        show=tuple(_TIMES.items()),
        names=", ".join(_TIMES),
        example="50 ms",
        zero="0 s",
    ),
    "ratio": _Scale(read={"%": Decimal("0.01")}, show=(("%", Decimal("0.01")),), names="%", example="5 %", zero="0 %"),
}

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_QUANTITY = re.compile(rf"(?P<sign>[+-]?)(?P<number>{_NUMBER})\s*(?P<unit>[^\s0-9.].*)?", re.ASCII | re.DOTALL)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)\b.*", re.IGNORECASE | re.DOTALL)
_WHOLE = re.compile(r"[0-9]{1,300}", re.ASCII)  # 300 digits still fit a float, and int() refuses over 4300


def parse_quantity(text: object, unit: str) -> float:
    """Return what ``text`` says, in the base unit ``unit`` ("B", "s", "ratio", "count", "B/h").

    Units are always written, for zero too ("0 B"); only a count is a bare whole number (3 or "3").
    Raises UnitError, whose ``problem`` names the accepted units, for everything else.
    """
    if unit == "count":
        return _parse_count(text)
    scale = _SCALES.get(unit)
    if scale is None:
        raise UnitError(text=text, unit=unit, problem=f'unknown base unit "{unit}" (B, s, ratio, count, B/h)')
    if not isinstance(text, str):
        _refuse(text, unit, _what_is(text), "write text with a unit")
    return _parse_text(text, unit, scale)


def _parse_text(text: str, unit: str, scale: _Scale) -> float:
    stripped = text.strip()
    if _NOT_FINITE.fullmatch(stripped):
        _refuse(text, unit, "not a finite number", "write a number and a unit")
    match = _QUANTITY.fullmatch(stripped)
    if match is None:
        _refuse(text, unit, "not a quantity", "write a number and a unit")
    if match["sign"] == "-":
        _refuse(text, unit, "a negative quantity", "write zero or more")
    if match["unit"] is None:
        _refuse(text, unit, "a bare number", "write a unit")
    factor = scale.read.get(re.sub(r"\s+", "", match["unit"]).lower())
    if factor is None:
        _refuse(text, unit, f'unknown unit "{match["unit"]}"', "write another")
    # Decimal, so that "5 %" is the float 0.05 and not its neighbour.
    with localcontext(_CONTEXT):
        value = float(Decimal(match["number"]) * factor)
    if not math.isfinite(value):
        _refuse(text, unit, "not a finite number", "write a number and a unit")
    return value


def _parse_count(text: object) -> float:
    advice = "write a whole number, such as 2"
    if isinstance(text, str):
        if not _WHOLE.fullmatch(text.strip()):
            raise UnitError(text=text, unit="count", problem=f"not a count: {advice}")
        return float(int(text))
    if isinstance(text, bool) or not isinstance(text, int):
        raise UnitError(text=text, unit="count", problem=f"{_what_is(text, fractions=True)}: {advice}")
    if text < 0:
        raise UnitError(text=text, unit="count", problem=f"a negative count: {advice}")
    try:
        return float(text)
    except OverflowError:
        raise UnitError(text="an enormous integer", unit="count", problem=f"not a count: {advice}") from None


def _refuse(text: object, unit: str, seen: str, advice: str) -> NoReturn:
    scale = _SCALES[unit]
    example = scale.zero if _is_zero(text) else scale.example
    raise UnitError(text=text, unit=unit, problem=f'{seen}: {advice}, such as "{example}" ({scale.names})')


def _is_zero(text: object) -> bool:
    """Whether a zero was meant: its example is "0 B", for "2 KB" would be no help."""
    if isinstance(text, str):
        return re.fullmatch(r"\s*[+-]?0*\.?0+\s*", text) is not None
    return isinstance(text, (int, float)) and not isinstance(text, bool) and text == 0


def _what_is(value: object, *, fractions: bool = False) -> str:
    """The name of a value's type for a person who wrote it in TOML or in Python."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "not a whole number" if fractions else "a bare number"
    if isinstance(value, (list, tuple)):
        return "an array"
    if isinstance(value, Mapping):
        return "a table"
    return "nothing" if value is None else f"a {type(value).__name__}"


def format_quantity(value: float, unit: str) -> str:
    """Return ``value``, in the base unit ``unit``, as a person reads it: "1.4 MiB", "5 %", "61.4 ms", "3".

    What is shown without a decimal is exact ("500 KiB"), what was rounded keeps one ("500.0 KiB"), so that a
    value just above its limit does not read as equal to it. Units that this module does not know are appended.
    """
    if not math.isfinite(value):
        return str(value)
    with localcontext(_CONTEXT):
        return _formatted(value, unit)


def _formatted(value: float, unit: str) -> str:
    if unit == "count":
        return _number(Decimal(repr(float(value))))
    scale = _SCALES.get(unit)
    if scale is None:
        return f"{_number(Decimal(repr(float(value))))} {unit}"
    if value == 0:
        return scale.zero
    return _scaled(Decimal(repr(float(value))), scale)


def _scaled(value: Decimal, scale: _Scale) -> str:
    last = len(scale.show) - 1
    for index, (name, size) in enumerate(scale.show):
        # The rounded figure decides, or 1048575 bytes would read "1024.0 KiB".
        if index == last or round(abs(value) / size, 1) < scale.show[index + 1][1] / size:
            return f"{_number(value / size)} {name}"
    raise AssertionError("unreachable: the last unit takes what is left")


def _number(value: Decimal) -> str:
    if abs(value) >= _ENORMOUS:
        return f"{value:.2e}"
    # Nine places are far below what is ever shown, and above what float arithmetic adds (0.07 * 100).
    exact = round(value, 9)
    if exact == round(exact, 1):
        return f"{round(exact, 1):f}".removesuffix(".0")
    if abs(exact) < Decimal("0.1"):
        return f"{Decimal(f'{value:.1e}'):f}"  # two digits, for "0.0 %" would say that there was none
    return f"{round(exact, 1):f}"
