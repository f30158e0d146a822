"""What measuring of locks stands on: what a lock is, one that another thread holds, and figures of what never came."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from validation_suites.running import PATIENCE, Runner

NEVER = 3600.0
"""Seconds: what did not come at all, where a time is told."""

UNBOUNDED = 1_000_000.0
"""Of a figure that has a bound, where the subject has none, or dies of it."""


class Lock(Protocol):
    """A lock with an owner, as a manager's ``lock(rank)`` makes it. It raises LockOrderError and LockTimeoutError."""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool: ...

    def release(self) -> None: ...

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> object: ...


class MakesLocks(Protocol):
    """What a thread manager has beside its protocol where it makes the locks of a hierarchy, as ours does."""

    def lock(self, rank: str, *, name: str = "") -> Lock: ...


def until(true: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Wait for it to become true; whether it did."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0005)
    return True


class Holding:
    """``with Holding(lock):`` another thread holds the lock meanwhile."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._held, self._leave = threading.Event(), threading.Event()

    def _hold(self) -> None:
        with self._lock:
            self._held.set()
            self._leave.wait()

    def __enter__(self) -> Holding:
        self._runner = Runner(self._hold)
        if not self._held.wait(PATIENCE):
            raise TimeoutError("a free lock could not be taken")
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave.set()
        self._runner.join(PATIENCE)
