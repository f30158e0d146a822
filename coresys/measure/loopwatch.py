"""The longest time for which one callback or step of a task kept an asyncio event loop from running anything else."""

from __future__ import annotations

import asyncio.events
import sys
from typing import Any

from coresys.clock import monotonic_ns
from coresys.records import Location, Reading


class LoopWatch:
    """Times each callback of asyncio's own loops while it is started.

    The loops of other libraries (uvloop) do not run ``asyncio.Handle``: if one was running, nothing was measured.
    """

    def start(self) -> None:
        """Begin. ``asyncio.Handle._run`` is wrapped until ``stop``."""
        self._longest, self._what = 0, None  # type: tuple[int, Any]
        self._on = True
        self._original = original = asyncio.events.Handle._run
        watch = self

        def _run(handle: Any) -> None:
            if not watch._on:  # somebody kept us: be transparent
                original(handle)
                return
            callback = handle._callback
            begin = monotonic_ns()
            try:
                original(handle)
            finally:
                took = monotonic_ns() - begin
                if took > watch._longest:
                    watch._longest, watch._what = took, _named(callback)

        self._wrapper = asyncio.events.Handle._run = _run  # type: ignore[method-assign, assignment]  # timed on purpose

    def stop(self) -> Reading:
        """End, and tell the longest time in seconds, with the callback or coroutine that took it."""
        self._on = False
        if asyncio.events.Handle._run is self._wrapper:  # else another's stands over it
            asyncio.events.Handle._run = self._original  # type: ignore[method-assign]  # as it was
        if self._longest == 0 and "uvloop" in sys.modules:
            return Reading(None, "uvloop is loaded, whose callbacks can't be timed")
        if self._what is None:
            return Reading(self._longest / 1e9)
        name, place = self._what
        return Reading(self._longest / 1e9, details=(f"the loop waited for {name}",), where=place)


_ASYNCIO = asyncio.__file__.rpartition("__init__")[0]


def _named(callback: Any) -> tuple[str, tuple[Location, ...]]:
    """Name and place of what a handle ran: the coroutine of a task's step, else the callback itself.

    Of a coroutine that is suspended now the place is where it stands: what kept the loop is before that.
    """
    task = getattr(callback, "__self__", None)
    coroutine: Any = task.get_coro() if isinstance(task, asyncio.Task) else None
    inner: Any = getattr(coroutine, "cr_await", None)
    while hasattr(inner, "cr_code") and not inner.cr_code.co_filename.startswith(_ASYNCIO):
        coroutine, inner = inner, inner.cr_await  # the innermost that is not asyncio's own, as sleep() is
    code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
    frame = getattr(coroutine, "cr_frame", None)
    if code is not None and frame is not None:
        return str(coroutine.__qualname__), (
            Location(code.co_filename, frame.f_lineno, code.co_name, "kept the loop before it came here"),
        )
    function = getattr(callback, "func", callback)
    code = code or getattr(function, "__code__", None)
    name = getattr(coroutine, "__qualname__", None) or getattr(function, "__qualname__", type(function).__name__)
    if code is None:
        return str(name), ()
    return str(name), (Location(code.co_filename, code.co_firstlineno, code.co_name, "kept the loop"),)
