"""The garbage collector, put off where it must not come in between."""

from __future__ import annotations

import gc
from _thread import get_ident
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from coresys.forks import call_in_children

_lock = RLock()  # of one put-off at a time: else the first to end lets the collector into another's block; re-entrant,
# for the handler of a signal may come by
_owner = 0  # the thread that will let the collector in again; 0 if it is in


@contextmanager
def put_off() -> Iterator[None]:
    """In the block no garbage is collected, in whichever thread; afterwards it is as it was before."""
    global _owner
    with _lock:
        enabled = gc.isenabled()
        try:
            # What a handler raises when this call returns is to be raised within the try.
            if enabled:
                _owner = get_ident()
            gc.disable()
            yield
        finally:
            if enabled:
                _owner = 0
                gc.enable()


@call_in_children
def _renew() -> None:
    """In the child of a fork only the thread that forked goes on: another's block is never left."""
    global _lock, _owner
    _lock = RLock()
    if _owner not in (0, get_ident()):
        _owner = 0
        gc.enable()


__all__ = ["put_off"]
