"""The garbage collector, put off where it must not come in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from coresys.forks import call_in_children

_lock = RLock()  # of one put-off at a time: else the first to end lets the collector into another's block; re-entrant,
# for the handler of a signal may come by


@contextmanager
def put_off() -> Iterator[None]:
    """In the block no garbage is collected, in whichever thread; afterwards it is as it was before."""
    with _lock:
        enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if enabled:
                gc.enable()


@call_in_children
def _renew() -> None:
    global _lock
    _lock = RLock()


__all__ = ["put_off"]
