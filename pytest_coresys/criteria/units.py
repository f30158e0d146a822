"""Units of criteria, as files and tests write them. Pure.

A unit is one of those that are known; what is counted may have a name of its own, if that is said: "count of orders".
Nothing else is taken for a count, for "mss" is more often a mistake than something that is counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from coresys.budgets.units import parse_quantity
from coresys.errors.hierarchy import UnitError
from pytest_coresys.config.errors import ValueProblem
from pytest_coresys.config.keys import suggestion

# As a file writes them, the base unit that samples and the run file are in, and how many of it one of them is.
UNITS: Mapping[str, tuple[str, float]] = {
    "us": ("s", 1e-6),
    "ms": ("s", 1e-3),
    "s": ("s", 1.0),
    "min": ("s", 60.0),
    "h": ("s", 3600.0),
    "B": ("B", 1.0),
    "bytes": ("B", 1.0),
    "KB": ("B", 1024.0),
    "KiB": ("B", 1024.0),
    "MB": ("B", 1024.0**2),
    "MiB": ("B", 1024.0**2),
    "GB": ("B", 1024.0**3),
    "GiB": ("B", 1024.0**3),
    "B/h": ("B/h", 1.0),
    "KB/h": ("B/h", 1024.0),
    "MB/h": ("B/h", 1024.0**2),
    "GB/h": ("B/h", 1024.0**3),
    "%": ("ratio", 0.01),
    "ratio": ("ratio", 1.0),
    "count": ("count", 1.0),
    "buffers": ("buffers", 1.0),
    "threads": ("threads", 1.0),
    "bool": ("bool", 1.0),
}

SCALED = ("s", "B", "ratio", "B/h")  # what else there is ("count", "buffers") is counted
_COUNT_OF = "count of "
_SPELT: Mapping[str, str] = {
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("msec", "msecs", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("usec", "usecs", "microsecond", "microseconds", "\u00b5s", "\u03bcs"), "us"),
    **dict.fromkeys(("mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("kilobyte", "kilobytes", "k"), "KB"),
    **dict.fromkeys(("megabyte", "megabytes", "m"), "MB"),
    **dict.fromkeys(("gigabyte", "gigabytes", "g"), "GB"),
    **dict.fromkeys(("percent", "pct"), "%"),
}
_NOUN = re.compile(r"[^\W\d_][\w-]*")
_FIGURE = re.compile(r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*(?P<unit>.*)", re.ASCII | re.DOTALL)


def is_count(base: str) -> bool:
    """Whether a base unit is a count, whatever it is of."""
    return base not in SCALED and base != "bool"


def unit_of(text: str) -> tuple[str, float]:
    """The base unit of a unit, and how many of it one is. Raises ValueProblem, with the nearest and with all there are.

    What is counted is its own base unit: "count of orders" is in orders.
    """
    text = text.strip()
    if text in UNITS:
        return UNITS[text]
    if text.startswith(_COUNT_OF):
        noun = text.removeprefix(_COUNT_OF).strip()
        if not _NOUN.fullmatch(noun):
            raise ValueProblem(f'"{text}": name what is counted by one word, such as "{_COUNT_OF}orders"')
        if not is_count(UNITS.get(noun, (noun, 1.0))[0]):
            raise ValueProblem(f'"{text}": "{noun}" is a unit, and nothing that is counted')
        return noun, 1.0
    near = _SPELT.get(text.lower())
    hint = f'; did you mean "{near}"?' if near else suggestion(text, UNITS)
    counted = f'; what is counted is written "{_COUNT_OF}{text}"' if not near and _NOUN.fullmatch(text) else ""
    known = ", ".join(each for each in UNITS if each != "bool")
    raise ValueProblem(f'unknown unit "{text}"{hint} (known: {known}{counted})')


def parse_figure(text: str, base: str | None = None, unit: str | None = None) -> tuple[float, str]:
    """What "50 ms", or "3 buffers", says, in its base unit, and that unit. Raises ValueProblem.

    ``base``: the one that it has to be in, where that is known. ``unit`` is that of a figure that is written without.
    """
    match = _FIGURE.fullmatch(text.strip())
    if match is None:
        raise ValueProblem('no figure: write a number and a unit, such as "50 ms"')
    written = match["unit"].strip() or unit or (base if base is not None and is_count(base) else None)
    if written is None:
        raise ValueProblem('a bare number: write a unit, such as "50 ms"')
    for each in SCALED if base is None else [base] if base in SCALED else []:
        try:
            return parse_quantity(f"{match['number']} {written}", each), each
        except UnitError as error:
            elsewhere = base is None or written in UNITS or written.startswith(_COUNT_OF)
            if not (error.problem.startswith("unknown unit") and elsewhere):
                raise ValueProblem(error.problem) from None
    found, factor = (written, 1.0) if written == base else unit_of(written)
    if base is not None and not alike(found, base):
        raise ValueProblem(f"that is in {found}, not in {base}")
    if is_count(found) and not match["number"].isdecimal():
        raise ValueProblem("no count: write a whole number")
    return float(match["number"]) * factor, base or found


def has_number(text: str) -> bool:
    """Whether a text is a number and something, or nothing: a figure in some unit, perhaps."""
    return _FIGURE.fullmatch(text.strip()) is not None


def alike(base: str, other: str) -> bool:
    """Whether figures in these base units may be compared: counts may, if one does not say of what."""
    return base == other or (is_count(base) and is_count(other) and "count" in (base, other))
