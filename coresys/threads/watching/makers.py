"""Whose a lock is: the user's, made by the standard library on the user's behalf, or plumbing, which is not watched.

Told by the module of the frame that makes it, and, where that is the standard library's, by who called it. Plumbing is
what nobody outside can hold while something else is waited for (the inside of an event, a future, a thread that
starts), and what belongs to pytest and to us.
"""

from __future__ import annotations

import concurrent.futures as _futures
import sys
import threading
from collections.abc import Callable
from concurrent.futures import _base
from types import CodeType, FrameType
from typing import Any

from coresys.threads.watching.chains import Place

USER, LIBRARY, PLUMBING = "user", "library", "plumbing"

# Whose locks are left alone: ours, and those of the runner and what it talks through.
_OURS = frozenset({"coresys", "pytest_coresys", "_pytest", "pytest", "pluggy", "execnet", "xdist"})
# Of the standard library, but a user's all the same: what is run as a script.
_USERS = frozenset({"__main__", "test"})
_kinds: dict[object, str] = {}

# Functions whose locks nobody outside can hold while something else is waited for.
_PLUMBING: dict[int, CodeType] = {}  # by id(): a code object's hash is computed anew each time, from all that is in it
INNER: dict[Any, Any] = {}  # by class, that for locks made on a user's behalf; filled by ``locks``


def _plumbing(*functions: Callable[..., Any]) -> None:
    _PLUMBING.update({id(function.__code__): function.__code__ for function in functions})


_plumbing(
    threading.Event.__init__,
    threading.Thread.__init__,
    threading.Barrier.__init__,
    _base.Future.__init__,
    _base._Waiter.__init__,
    _base._AsCompletedWaiter.__init__,
    _base._AllCompletedWaiter.__init__,
    _futures.ThreadPoolExecutor.__init__,
    _futures.ProcessPoolExecutor.__init__,
)


def kind_of(module: object) -> str:
    """USER, LIBRARY (the standard one) or PLUMBING, by the name of a module."""
    kind = _kinds.get(module)
    if kind is None:
        top = str(module).partition(".")[0]
        kind = USER
        if top in _OURS:
            kind = PLUMBING
        elif top in sys.stdlib_module_names and top not in _USERS:
            kind = LIBRARY
        _kinds[module] = kind
    return kind


def choose(cls: Any, frame: FrameType | None) -> tuple[Any, Place]:
    """The class for a lock that is made from ``frame``, which is no user's, and its place; no class: a raw one."""
    while frame is not None:
        kind = kind_of(frame.f_globals.get("__name__"))
        if kind is PLUMBING or (kind is LIBRARY and id(frame.f_code) in _PLUMBING):
            return None, (None, 0)
        if kind is USER:
            return INNER.get(cls, cls), (frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return None, (None, 0)  # the library for itself, or the interpreter


def whose(frame: FrameType | None) -> Place:
    """The place of a frame, or, where that is the library's, which does it for somebody, of that one."""
    global _last
    if frame is None or kind_of(frame.f_globals.get("__name__")) is LIBRARY:
        return outside(frame)
    last, code, offset = _last, frame.f_code, frame.f_lasti
    if last[0] is code and last[1] == offset:
        return last
    _last = place = code, offset
    return place


_last: Place = (None, 0)  # many locks are taken in one line, one after the other: they share what says so


def outside(frame: FrameType | None) -> Place:
    """The place of the first frame outwards that is the user's; the innermost one where there is none."""
    first = frame
    while frame is not None:
        if kind_of(frame.f_globals.get("__name__")) is USER:
            return frame.f_code, frame.f_lasti
        frame = frame.f_back
    return (None, 0) if first is None else (first.f_code, first.f_lasti)


__all__ = ["INNER", "LIBRARY", "PLUMBING", "USER", "choose", "kind_of", "outside", "whose"]
