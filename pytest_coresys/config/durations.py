"""How long a soak lasts: the DURATION of ``--coresys-soak``, which names the nearest valid one if it is wrong. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from coresys.budgets.units import format_quantity, parse_quantity
from coresys.errors.hierarchy import UnitError
from pytest_coresys.config.errors import ValueProblem
from pytest_coresys.config.values import show

LEAST = 1.0  # seconds: less than that holds no two rounds of anything
_EXAMPLE = 'such as "90 s", "15 min" or "1 h"'

# How people write units, to the one that is valid.
_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
}
_PARTS = re.compile(r"\s*(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<word>[^\s0-9.]*)\s*", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``90 s`` or ``1 h``. Raises ValueProblem, which names the nearest valid one."""
    try:
        seconds = parse_quantity(text, "s")
    except UnitError:
        raise ValueProblem(f"{show(text)} is not a duration: {_nearest(text)}") from None
    if seconds < LEAST:
        least = format_quantity(LEAST, "s")
        raise ValueProblem(f'{show(text)} is too short for a soak: write "{least}" or more, {_EXAMPLE}')
    return seconds


def duration_text(seconds: float) -> str:
    """A duration as one would write it: ``90 s`` rather than 1.5 minutes, and no more digits than tell something."""
    unit, size = next(each for each in _SHOWN if seconds >= each[2])[:2]
    return f"{round(seconds / size, 1):g} {unit}"


_SHOWN = (("h", 3600.0, 3600.0), ("min", 60.0, 180.0), ("s", 1.0, 0.0))  # unit, its size, and from when on it is used


def _nearest(text: str) -> str:
    found = _PARTS.fullmatch(text)
    if found is None or not float(found["number"]):
        return f"write a number and a unit, {_EXAMPLE}"
    if not found["word"]:
        return f'write a unit; did you mean "{found["number"]} s"?'
    word = found["word"].lower()
    near = [word] if word in _WORDS else difflib.get_close_matches(word, _WORDS, n=1)
    if not near:
        return f"write a unit of time (s, min, h), {_EXAMPLE}"
    return f'did you mean "{found["number"]} {_WORDS[near[0]]}"?'
