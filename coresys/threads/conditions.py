"""Waiting for something to become true, under an ordered lock."""

from __future__ import annotations

import os
from _thread import TIMEOUT_MAX, allocate_lock, get_ident
from collections import deque
from collections.abc import Callable
from sys import _getframe
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from coresys.clock import monotonic
from coresys.errors.hierarchy import LockClosedError, LockOrderError
from coresys.system_records import LockStatistics
from coresys.threads.contexts import Context
from coresys.threads.held import here
from coresys.threads.locks import OrderedLock, OrderedRLock, keep
from coresys.threads.ranks import Rank
from coresys.threads.sites import NOT_KNOWN, count_of, site_of
from coresys.threads.waits import SLICE, limit

T = TypeVar("T")


class OrderedCondition(metaclass=Context):
    """As ``threading.Condition``, over an ordered lock: one that is given, or an OrderedRLock of its own.

    ``wait`` lets the lock go and takes it again before it returns, whatever happens meanwhile. To wait while holding a
    lock that is further in would take the two in the wrong order afterwards: that raises LockOrderError at once. When
    the lock is closed, whoever waits here gets LockClosedError.
    """

    __slots__ = ("__weakref__", "_lock", "_process", "_waiters")

    def __init__(
        self,
        rank: Rank | None = None,
        *,
        lock: OrderedLock | None = None,
        name: str = "",
        timeout: float | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        if lock is not None and (rank is not None or name or timeout is not None or now is not monotonic):
            raise ValueError("give a lock, or what one is made of")
        self._lock = lock if lock is not None else OrderedRLock(rank, name=name, timeout=timeout, now=now)
        self._waiters: deque[Any] = deque()  # raw locks, each held until its waiter is told; guarded by _lock
        self._process = os.getpid()

    # Both are the lock's own, looked up when a ``with`` statement begins, for the lock may have got a fresh raw lock
    # since (a forked child): a bound method that was kept would let go the old one.
    if TYPE_CHECKING:

        def __enter__(self) -> OrderedLock: ...
        def __exit__(self, *exc: object) -> None: ...
    else:

        @property
        def __enter__(self) -> Callable[[], OrderedLock]:
            return self._lock.__enter__

        @property
        def __exit__(self) -> Callable[..., None]:
            return self._lock.__exit__

    def enter_at(self, frame: FrameType) -> OrderedLock:
        """As ``__enter__``, for a place that is given."""
        return self._lock.enter_at(frame)

    @property
    def lock(self) -> OrderedLock:
        """The lock it is for."""
        return self._lock

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """As the lock's."""
        return self._lock.acquire_at(_getframe(1), blocking, timeout)

    def release(self) -> None:
        """As the lock's."""
        self._lock.release()

    def assert_held(self) -> None:
        """As the lock's."""
        self._lock.assert_held()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until told, or for ``timeout`` seconds; False where those have passed. Somebody else's turn may come
        first, so ask again what was waited for, or use ``wait_for``.

        Raises LockOwnershipError where the lock is not held, LockOrderError, LockClosedError.
        """
        return self._wait(limit(timeout), _getframe(1))

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until ``predicate()`` is true, and return what it was; after ``timeout`` seconds, what it is then."""
        frame = _getframe(1)
        seconds = limit(timeout)
        now = self._lock.now
        until = None if seconds is None else now() + seconds
        result = predicate()
        while not result:
            left = None if until is None else until - now()
            if left is not None and left <= 0:
                break
            self._wait(left, frame)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        """Tell ``n`` of those that wait. Raises LockOwnershipError where the lock is not held."""
        self._lock.assert_held()
        self._drop_others()
        while n > 0:
            try:
                self._waiters.popleft().release()
            except IndexError:
                break
            except RuntimeError:  # it was told by close just now
                continue
            n -= 1

    def notify_all(self) -> None:
        """Tell all that wait."""
        self.notify(len(self._waiters))

    def _drop_others(self) -> None:
        """In a forked child, those that wait are threads of the parent: telling one of them would tell nobody."""
        if self._process != os.getpid():
            self._waiters.clear()
            self._process = os.getpid()

    def statistics(self) -> LockStatistics:
        """Figures of the lock."""
        return self._lock.statistics()

    def close(self) -> None:
        """Close the lock, and wake whoever waits with LockClosedError."""
        self._lock.close()
        while self._waiters:
            try:
                self._waiters.popleft().release()
            except (IndexError, RuntimeError):
                pass

    def _wait(self, timeout: float | None, frame: FrameType) -> bool:
        lock = self._lock
        lock.assert_held()
        self._refuse_inner(frame)
        waiter = allocate_lock()
        waiter.acquire()
        told = False
        raw: Any = lock.raw
        times = count_of(raw) if isinstance(lock, OrderedRLock) else 1
        state: Any = None
        self._drop_others()
        self._waiters.append(waiter)
        try:
            state = raw._release_save()  # however often it was taken
            if not lock.closed:  # or nobody would tell
                told = _is_told(waiter, timeout, lock.now)
        finally:
            # The raw lock that was let go, not one that came in its place: the ``with`` block lets this one go.
            if state is not None:
                raw._acquire_restore(state)
            elif not raw._is_owned():  # an exception came after it was let go, and before ``state`` was there
                raw._acquire_restore((times, get_ident()))
            keep(here.held, lock)
            # Under the lock: whoever told it while it was taking the lock has told nobody else.
            if not told and not lock.closed:
                told = waiter.acquire(False)
            if not told:
                try:
                    self._waiters.remove(waiter)
                except ValueError:
                    pass
        if lock.closed:
            raise LockClosedError(lock=lock.name)
        lock.code, lock.offset = frame.f_code, frame.f_lasti
        return told

    def _refuse_inner(self, frame: FrameType) -> None:
        lock = self._lock
        for entry in reversed(here.me.holds()):
            if entry is lock:
                return
            if entry.group is lock.group and entry.group is not None:
                raise LockOrderError(
                    wanted=lock.name,
                    rank=str(lock.rank),
                    site=site_of(frame),
                    held=entry.name,
                    held_rank=str(entry.rank),
                    held_site=entry.where() or NOT_KNOWN,
                    rule="waiting on a condition takes its lock again, after the inner one",
                )

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"condition of {self._lock.name!r} cannot be copied or pickled: it belongs to this process")

    def __repr__(self) -> str:
        return f"<OrderedCondition of {self._lock!r}: {len(self._waiters)} waiting>"


def _is_told(waiter: Any, timeout: float | None, now: Callable[[], float]) -> bool:
    """Wait until a raw lock is let go, or for so many seconds of a clock."""
    if timeout is None:
        return bool(waiter.acquire())
    if now is monotonic:
        return bool(waiter.acquire(True, min(max(0.0, timeout), TIMEOUT_MAX)))
    until = now() + timeout
    while not waiter.acquire(True, SLICE):  # real seconds: by another clock nobody wakes anybody
        if now() >= until:
            return False
    return True


__all__ = ["OrderedCondition"]
