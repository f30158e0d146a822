"""Places in code, kept as a code object and an offset, and put into words only where somebody asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

from coresys.records import Location

_OWNER = re.compile(r"owner=(\d+)")
_COUNT = re.compile(r"count=(\d+)")
NOT_KNOWN = "a place not known"
_PACKAGE = __name__.rpartition(".")[0] + "."


F = TypeVar("F", bound=Callable[..., Any])

# Code of functions that hand on what their caller asks for: the place of a thing is that of whoever called them. By
# identity, and with the code, which keeps that from being another's: a code object is hashed with all its constants
# each time, half a microsecond for that of a module.
SEEN_THROUGH: dict[int, CodeType] = {}


def see_through(function: F) -> F:
    """Have places looked for in whoever calls this function; for parts of managers, which only hand on."""
    SEEN_THROUGH[id(function.__code__)] = function.__code__
    return function


def location(code: CodeType | None, offset: int) -> Location | None:
    """The file and line of a bytecode offset (``frame.f_lasti``); None without a code object."""
    if code is None:
        return None
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= offset < end and number is not None:
            line = number
            break
    return Location(code.co_filename, line)


def site(code: CodeType | None, offset: int) -> str | None:
    """As ``location``, in words: ``file:line``."""
    place = location(code, offset)
    return None if place is None else str(place)


def site_of(frame: FrameType) -> str:
    """Where a frame is now, as ``file:line``."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def outside(frame: FrameType | None, beside: tuple[str, ...] = ()) -> FrameType | None:
    """The innermost frame outside of what takes locks for it: this package, and stacks of contexts; and outside of
    modules whose names begin with what stands in ``beside``."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module != "contextlib" and not module.startswith((_PACKAGE, *beside)):
            return frame
        frame = frame.f_back
    return None


def standing(frame: FrameType | None, beside: tuple[str, ...] = ()) -> str | None:
    """Where a frame is now; that of ``outside``."""
    found = outside(frame, beside)
    return None if found is None else site_of(found)


def owner_of(raw: Any) -> int:
    """The identity of the thread that holds a raw RLock, 0 where nobody does.

    Exact at the time of reading, which no note of ours beside the lock could be: the interpreter sets the owner with
    the lock itself, and its ``repr`` is the only place where it tells. Slow: only for waits that last, and errors.
    """
    found = _OWNER.search(repr(raw))
    return int(found.group(1)) if found else 0


def count_of(raw: Any) -> int:
    """How often the thread that holds a raw RLock has taken it; slow, as ``owner_of``."""
    found = _COUNT.search(repr(raw))
    return int(found.group(1)) if found else 0


__all__ = [
    "NOT_KNOWN",
    "SEEN_THROUGH",
    "count_of",
    "location",
    "outside",
    "owner_of",
    "see_through",
    "site",
    "site_of",
    "standing",
]
