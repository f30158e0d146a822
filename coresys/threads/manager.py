"""The thread manager: a pool, the locks of a hierarchy, and what both cost, behind one interface."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

from coresys.clock import Clock, MonotonicClock
from coresys.errors.hierarchy import RankError
from coresys.system_records import LockStatistics, ThreadPoolStatistics, ThreadRecord
from coresys.threads.conditions import OrderedCondition
from coresys.threads.locks import OrderedLock, OrderedRLock, SampledLock
from coresys.threads.monitor import contention, thread_records
from coresys.threads.pool import ThreadPool
from coresys.threads.ranks import LockHierarchy, Rank
from coresys.threads.readwrite import ReadWriteLock

if TYPE_CHECKING:
    from coresys.interfaces import IThreadManager

T = TypeVar("T")


class _Lock(Protocol):
    def statistics(self) -> LockStatistics: ...

    def close(self) -> None: ...


L = TypeVar("L", bound=_Lock)


class ThreadManager:
    """Runs tasks on a pool that it is given, and makes the locks of a hierarchy. What a method promises is said in
    ``IThreadManager``.

    >>> from coresys.threads import LockHierarchy, ThreadManager, ThreadPool
    >>> threads = ThreadManager(pool=ThreadPool(4), hierarchy=LockHierarchy("service", ["registry", "channel"]))
    >>> registry = threads.lock("registry")
    >>> with registry:
    ...     threads.submit(pow, 2, 5).result()
    32
    >>> [(lock.name, lock.acquired) for lock in threads.locks()]
    [('service.registry', 1)]
    >>> threads.shutdown()

    ``read_threads`` reads the threads of the process; ``clock`` times waits for locks, and sampled holds. Locks are
    kept by whoever uses them: one that nobody refers to any more is not listed.
    """

    def __init__(
        self,
        *,
        pool: ThreadPool,
        hierarchy: LockHierarchy | None = None,
        read_threads: Callable[[], tuple[ThreadRecord, ...]] = thread_records,
        clock: Clock | None = None,
    ) -> None:
        self._pool, self._hierarchy, self._read_threads = pool, hierarchy, read_threads
        self._now = MonotonicClock.now if clock is None else clock.now
        self._locks: WeakSet[Any] = WeakSet()
        self._closed = False
        # Made last of all, and it guards the set above only: a leaf.
        self._guard = OrderedLock(name="thread manager")

    # -- tasks -------------------------------------------------------------------------------------------------------

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a function at the ordinary priority."""
        return self._pool.submit(function, *args, **kwargs)

    def submit_with(
        self, function: Callable[[], T], *, priority: str = "processing", channel: str | None = None
    ) -> Future[T]:
        """Run a function at a priority, perhaps in a channel's order."""
        return self._pool.submit_with(function, priority=priority, channel=channel)

    @property
    def pool(self) -> ThreadPool:
        """The executor, for whoever wants one: ``loop.run_in_executor``, ``pool.map``, ``await pool.run``."""
        return self._pool

    # -- locks -------------------------------------------------------------------------------------------------------

    def lock(
        self, rank: str, *, name: str = "", timeout: float | None = None, sample_every: int | None = None
    ) -> OrderedLock:
        """A lock of a rank; with ``sample_every``, one that times every so-manieth hold. Raises RankError."""
        chosen, name = self._rank(rank, name)
        if sample_every is not None:
            return self._keep(SampledLock(chosen, name=name, timeout=timeout, every=sample_every, now=self._now))
        return self._keep(OrderedLock(chosen, name=name, timeout=timeout, now=self._now))

    def rlock(self, rank: str, *, name: str = "", timeout: float | None = None) -> OrderedRLock:
        """A re-entrant lock of a rank."""
        chosen, name = self._rank(rank, name)
        return self._keep(OrderedRLock(chosen, name=name, timeout=timeout, now=self._now))

    def read_write_lock(self, rank: str, *, name: str = "", timeout: float | None = None) -> ReadWriteLock:
        """A lock for many readers or one writer, of a rank."""
        chosen, name = self._rank(rank, name)
        return self._keep(ReadWriteLock(chosen, name=name, timeout=timeout, now=self._now))

    def condition(self, rank: str, *, name: str = "", timeout: float | None = None) -> OrderedCondition:
        """A condition with a lock of its own, of a rank."""
        chosen, name = self._rank(rank, name)
        return self._keep(OrderedCondition(chosen, name=name, timeout=timeout, now=self._now))

    def declare(self, hierarchy: LockHierarchy) -> None:
        """Take locks of this hierarchy from now on. Raises RankError where some were made of another."""
        with self._guard:
            if self._locks:
                problem = "locks were made of another one already: declare the order before the first"
                raise RankError(hierarchy=hierarchy.name, problem=problem)
            self._hierarchy = hierarchy

    def _rank(self, rank: str, name: str) -> tuple[Rank, str]:
        if self._hierarchy is None:
            raise ValueError("this manager was given no lock hierarchy")
        chosen = self._hierarchy[rank]
        return chosen, name or str(chosen)

    def _keep(self, lock: L) -> L:
        with self._guard:
            self._locks.add(lock)
            closed = self._closed
        if closed:
            lock.close()
        return lock

    # -- looking and ending ------------------------------------------------------------------------------------------

    def statistics(self) -> ThreadPoolStatistics:
        """Workers, queues, and what became of tasks."""
        return self._pool.statistics()

    def threads(self) -> tuple[ThreadRecord, ...]:
        """The threads of this process, with what the kernel knows of them."""
        return self._read_threads()

    def locks(self) -> tuple[LockStatistics, ...]:
        """The locks that were made here and are in use, by rank and name."""
        with self._guard:
            locks: list[_Lock] = list(self._locks)
        figures = [lock.statistics() for lock in locks]
        return tuple(sorted(figures, key=lambda lock: (lock.rank or 0, lock.name)))

    def contention(self) -> tuple[LockStatistics, ...]:
        """The locks that were waited for, the longest wait in all first."""
        return contention(self.locks())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with ``wait``, return when those that were taken are done. Then close the locks: none is
        held after that, and whoever waits for one gets LockClosedError. Without ``wait`` they are closed at once."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)
        with self._guard:
            self._closed = True
            locks: list[_Lock] = list(self._locks)
        for lock in locks:
            lock.close()

    def __repr__(self) -> str:
        return f"<ThreadManager: {self._pool!r}, {len(self._locks)} locks>"


if TYPE_CHECKING:
    _check: type[IThreadManager] = ThreadManager

__all__ = ["ThreadManager"]
