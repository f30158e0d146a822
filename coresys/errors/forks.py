"""Locks in a forked child: whoever held one in another thread is not there to let it go."""

from __future__ import annotations

import os
from threading import RLock
from typing import Protocol
from weakref import WeakSet


class _Locked(Protocol):
    _lock: RLock


_alive: WeakSet[_Locked] = WeakSet()


def free_in_children(owner: _Locked) -> None:
    """Give ``owner`` a new ``_lock`` in every child that is forked from now on. Keeps it no longer than others do."""
    _alive.add(owner)


def _after_fork() -> None:
    for owner in tuple(_alive):
        owner._lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
