"""Event loops that are watched: their holders between two turns, and their waits where they have nothing to do.

While one of asyncio's own loops runs, the ``select`` of its selector is ours, which asks the original. What that costs
a turn is one call, and one look at each task that holds a lock (of at most ``AT_ONCE``). Where the loop is to sleep for
ever it does so in slices. All is done by the thread that runs the loop, between two steps of its tasks.
"""

from __future__ import annotations

import functools
import selectors
from collections.abc import Callable
from typing import Any

from coresys.clock import monotonic
from coresys.threads.watching import aio_stuck
from coresys.threads.watching.aio_parties import Watch, look_at_holders, watch_of, went_wrong

SLICE = 0.5  # seconds between two looks at who waits


def run_forever(original: Callable[..., Any]) -> Callable[..., Any]:
    """``BaseEventLoop.run_forever``, which watches the loop while it runs."""

    @functools.wraps(original)
    def run_forever(self: Any) -> Any:
        __tracebackhide__ = True
        selector = getattr(self, "_selector", None)
        if not isinstance(selector, selectors.BaseSelector) or "select" in vars(selector):
            return original(self)  # of another kind, somebody else's, or it runs already
        ours = _select(self, selector)
        selector.select = ours  # type: ignore[method-assign]
        try:
            return original(self)
        finally:
            if vars(selector).get("select") is ours:
                del selector.select

    return run_forever


def _select(loop: Any, selector: Any) -> Callable[..., Any]:
    original = selector.select
    watch = watch_of(loop)
    watch.told.clear()

    def select(timeout: Any = None) -> Any:
        if watch.looking:
            try:
                look_at_holders(watch)
            except Exception as error:
                watch.looking.clear()
                went_wrong(error)
        if timeout is not None and not watch.waiting:
            return original(timeout)
        return _sleep(watch, loop, selector, original, timeout)

    return select


def _sleep(watch: Watch, loop: Any, selector: Any, original: Callable[..., Any], timeout: Any) -> Any:
    """Wait for events, or until the loop has something to do, as ``original`` does; and look at the waits meanwhile."""
    if watch.waiting and (timeout is None or timeout > 0):
        now = monotonic()
        if now >= watch.next_look:
            watch.next_look = now + SLICE
            if _found(aio_stuck.look_at_waits, watch, loop):
                return []
    if timeout is not None:
        return original(min(timeout, SLICE))  # less is nothing new to a loop: it looks at its timers, and waits on
    began = monotonic()
    while True:
        events = original(SLICE)
        if events or loop._ready or loop._scheduled or loop._stopping:
            return events
        if monotonic() - began >= aio_stuck.QUIET and aio_stuck.nobody_left(loop, selector):
            if _found(aio_stuck.break_quiet, watch, loop):
                return []
            began = monotonic()
        elif watch.waiting and _found(aio_stuck.look_at_waits, watch, loop):
            return []
        else:
            _suspect(loop, selector)


def _suspect(loop: Any, selector: Any) -> None:
    try:
        aio_stuck.suspect(loop, selector)
    except Exception as error:
        went_wrong(error)


def _found(look: Callable[[Watch, Any], bool], watch: Watch, loop: Any) -> bool:
    """Whether a look has found a deadlock, and told it."""
    try:
        return look(watch, loop)
    except Exception as error:
        went_wrong(error)
        return False


__all__ = ["run_forever"]
