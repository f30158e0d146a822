"""Threads and locks with one fault each, and sound ones beside them. Each docstring says what is wrong."""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from coresys import ResourceManager, StateManager
from coresys.errors.hierarchy import LockTimeoutError
from coresys.system_records import ThreadPoolStatistics, TransitionRecord
from coresys.threads import LockHierarchy, OrderedLock
from validation_suites import ours
from validation_suites.faults.faulty import Faulty
from validation_suites.running import Runner
from validation_suites.threads.locking import RANKS

_ORDER = LockHierarchy("faults", RANKS)


# -- locks -----------------------------------------------------------------------------------------------------------


def sound_locks() -> Any:
    """Nothing: ours."""
    return ours.threads(workers=2, ranks=RANKS)


class LocksOf:
    """Makes locks by a function of rank and name, and tells of them."""

    def __init__(self, make: Callable[[str, str], Any]) -> None:
        self._make = make
        self.made: list[Any] = []

    def lock(self, rank: str, *, name: str = "") -> Any:
        made = self._make(rank, name or rank)
        self.made.append(made)
        return made

    def locks(self) -> tuple[Any, ...]:
        return tuple(lock.statistics() for lock in self.made)


def locks_without_an_order() -> LocksOf:
    """locks that know no ranks"""
    return LocksOf(lambda rank, name: OrderedLock(name=name))


def locks_that_refuse_neighbours() -> LocksOf:
    """an order in which two ranks have changed places"""
    exchanged = {"channel": "session", "session": "channel"}
    return LocksOf(lambda rank, name: OrderedLock(_ORDER[exchanged.get(rank, rank)], name=name))


class _Forgetful(OrderedLock):
    __slots__ = ("times",)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.times = count(1)

    def release(self) -> None:
        if next(self.times) % 50:
            super().release()


def locks_that_are_not_let_go() -> LocksOf:
    """a release that is left out, once in fifty times"""
    return LocksOf(lambda rank, name: _Forgetful(_ORDER[rank], name=name))


class LockForTwo:
    """a lock that two may hold at once"""

    def __init__(self) -> None:
        self._places = threading.Semaphore(2)

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        return self._places.acquire(blocking, timeout)

    def release(self) -> None:
        self._places.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


def locks_that_hide_waits() -> Any:
    """waits for locks that nobody counts"""
    sound = sound_locks()
    return Faulty(sound, locks=lambda: tuple(replace(lock, contended=0, waited=0.0) for lock in sound.locks()))


def locks_that_share_figures() -> Any:
    """one lock's waits, told of every lock"""
    sound = sound_locks()

    def locks() -> tuple[Any, ...]:
        figures = sound.locks()
        most = max(figures, key=lambda lock: lock.contended)
        return tuple(replace(each, contended=most.contended, waited=most.waited) for each in figures)

    return Faulty(sound, locks=locks)


class DearLock:
    """a lock that writes a diary"""

    def __init__(self) -> None:
        self._lock, self._diary = threading.Lock(), ""

    def __enter__(self) -> None:
        for number in range(20):
            self._diary = f"{number}: {threading.current_thread().name}"
        self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


class LateLock:
    """a timeout that comes 60 ms late"""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        time.sleep((timeout or 0.0) + 0.06)
        raise LockTimeoutError(
            lock="late", timeout=timeout or 0.0, waited=0.0, holder="somebody", holder_site="x.py:1", holding=()
        )

    def release(self) -> None:
        """Never taken."""


class NamelessTimeout(LateLock):
    """a timeout in time, that does not say who holds the lock"""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        time.sleep(timeout or 0.0)
        raise LockTimeoutError(
            lock="nameless", timeout=timeout or 0.0, waited=0.0, holder=None, holder_site=None, holding=()
        )


class SilentTimeout(LateLock):
    """a timeout that is told by False alone"""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        return False


class SlowLock(LockForTwo):
    """a lock that is had 8 ms after it was free"""

    def __init__(self) -> None:
        super().__init__()
        self._places.acquire()  # for one, then

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        taken = super().acquire(blocking, timeout)
        time.sleep(0.008)
        return taken


class ImpatientRing(OrderedLock):
    """a circle that ends by a timeout, which names nobody else"""

    __slots__ = ()

    def __enter__(self) -> Any:
        self.acquire(timeout=0.2)
        return self


def impatient(name: str) -> ImpatientRing:
    """a circle that ends by a timeout, which names nobody else"""
    return ImpatientRing(name=name)


class SaysHeld:
    """a guard that says it is held, whoever asks"""

    def assert_held(self) -> None:
        """Always well."""


def locks_that_outlive_the_shutdown() -> Any:
    """a shutdown that closes no lock"""
    sound = sound_locks()
    return Faulty(sound, shutdown=sound.pool.shutdown)


# -- values ----------------------------------------------------------------------------------------------------------


class CounterInTwoSteps:
    """a counter that reads and writes in two steps"""

    def __init__(self) -> None:
        self._value = 0

    def add(self, amount: int = 1) -> int:
        value = self._value
        if not value % 8:
            time.sleep(0)  # somebody else's turn
        self._value = value + amount
        return self._value

    def get(self) -> int:
        return self._value

    def compare_and_set(self, expected: int, value: int) -> bool:
        if self._value != expected:
            return False
        self._value = value
        return True


class CounterThatForgets(CounterInTwoSteps):
    """a counter that leaves out one addition in a thousand"""

    def __init__(self) -> None:
        super().__init__()
        self._lock, self._times = threading.Lock(), 0

    def add(self, amount: int = 1) -> int:
        with self._lock:
            self._times += 1
            return self._value if self._times % 1000 == 0 else super().add(amount)

    def compare_and_set(self, expected: int, value: int) -> bool:
        with self._lock:
            return super().compare_and_set(expected, value)


def counter_in_two_steps() -> type[CounterInTwoSteps]:
    """a counter that reads and writes in two steps"""
    return CounterInTwoSteps


def counter_that_forgets() -> type[CounterInTwoSteps]:
    """a counter that leaves out one addition in a thousand"""
    return CounterThatForgets


class Unguarded:
    """guarded data that anybody may have"""

    def __init__(self, lock: Any, value: Any) -> None:
        self.value = value


# -- buffers ---------------------------------------------------------------------------------------------------------


class BuffersForTwo:
    """a buffer that is lent to the next one while the first has it still, now and then"""

    def __init__(self) -> None:
        self._sound, self._times = ResourceManager(), count(1)
        self._shared = bytearray(4096)

    @contextmanager
    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Any:
        if next(self._times) % 2 == 0:
            self._shared[:64] = bytes(64)
            yield memoryview(self._shared)[:size]
            return
        with self._sound.lease(size, owner=owner, timeout=timeout) as view:
            yield view

    def leases(self, owner: str | None = None) -> tuple[Any, ...]:
        return self._sound.leases(owner)


class BuffersWithBytesOfOthers:
    """buffers that are not zeroed for their next owner"""

    def __init__(self) -> None:
        self._free = [bytearray(4096) for _ in range(4)]
        self._lock = threading.Condition()

    @contextmanager
    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Any:
        with self._lock:
            while not self._free:
                self._lock.wait()
            buffer = self._free.pop(0)
        try:
            yield memoryview(buffer)[:size]
        finally:
            with self._lock:
                self._free.append(buffer)
                self._lock.notify()

    def leases(self, owner: str | None = None) -> tuple[Any, ...]:
        return ()


# -- workers ---------------------------------------------------------------------------------------------------------


class PlainThreads:
    """a standard executor: no priorities, no channels, and tasks that wait for tasks hang"""

    def __init__(self, workers: int = 20) -> None:
        self.pool = ThreadPoolExecutor(workers)
        self._workers = workers

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self.pool.submit(function, *args, **kwargs)

    def submit_with(
        self, function: Callable[[], Any], *, priority: str = "processing", channel: str | None = None
    ) -> Future[Any]:
        return self.pool.submit(function)

    def statistics(self) -> ThreadPoolStatistics:
        return ThreadPoolStatistics(0, self._workers, 0, (0, 0, 0), 0, 0, 0, 0)

    def locks(self) -> tuple[Any, ...]:
        return ()

    def threads(self) -> tuple[Any, ...]:
        return ()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.shutdown(wait, cancel_futures=cancel_futures)


class StrictThreads(PlainThreads):
    """priorities that starve what is low"""

    def __init__(self) -> None:
        super().__init__(1)
        self._queue: list[tuple[int, int, Callable[[], Any], Future[Any]]] = []
        self._numbers, self._lock = count(), threading.Lock()

    def submit_with(
        self, function: Callable[[], Any], *, priority: str = "processing", channel: str | None = None
    ) -> Future[Any]:
        future: Future[Any] = Future()
        level = ("system", "processing", "monitoring").index(priority)
        with self._lock:
            heapq.heappush(self._queue, (level, next(self._numbers), function, future))
        self.pool.submit(self._next)
        return future

    def _next(self) -> None:
        with self._lock:
            _, _, function, future = heapq.heappop(self._queue)
        future.set_result(function())


def threads_beyond_their_number() -> Any:
    """five workers more than may be"""
    return PlainThreads(25)


def threads_with_large_stacks() -> Any:
    """stacks of 8 MiB"""
    return _with_stacks(8 << 20)


def threads_with_tiny_stacks() -> Any:
    """stacks of 64 KiB, which deep recursion runs out of"""
    return _with_stacks(64 << 10)


def _with_stacks(size: int) -> PlainThreads:
    made = PlainThreads(1)
    before = threading.stack_size(size)
    try:
        made.pool.submit(int).result()
    finally:
        threading.stack_size(before)
    return made


class SlowStart(PlainThreads):
    """a thread that takes 30 ms to begin, and as long to be woken"""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        def late() -> Any:
            time.sleep(0.03)
            return function(*args, **kwargs)

        return self.pool.submit(late)


def threads_that_leave_a_thread() -> Any:
    """a shutdown that leaves a thread running"""
    made, leave = PlainThreads(2), threading.Event()

    def shutdown() -> None:
        made.shutdown()
        Runner(lambda: leave.wait(1.0))

    return Faulty(made, shutdown=shutdown)


def threads_that_leave_a_descriptor() -> Any:
    """a shutdown that leaves a descriptor open"""
    made = PlainThreads(2)
    made.left = os.pipe()  # type: ignore[attr-defined]  # for whoever closes it
    return made


def threads_that_lose_a_task() -> Any:
    """a task that is never run, and said to be done"""
    sound = ours.threads(workers=2)
    times = count(1)

    def submit(function: Callable[..., Any], *args: Any) -> Future[Any]:
        return sound.submit(function if next(times) % 500 else lambda *given: None, *args)

    return Faulty(sound, submit=submit)


def threads_with_wrong_readings() -> Any:
    """processor time that is told half as much again"""
    sound = ours.threads(workers=2, ranks=RANKS)

    def threads() -> tuple[Any, ...]:
        return tuple(
            replace(each, cpu_seconds=None if each.cpu_seconds is None else each.cpu_seconds * 1.5)
            for each in sound.threads()
        )

    return Faulty(sound, threads=threads)


# -- states ----------------------------------------------------------------------------------------------------------


class UnlockedStates:
    """a machine that is moved without a lock"""

    def __init__(self) -> None:
        self._state, self._sequence, self._made = "shut", 0, list[TransitionRecord]()

    def define(self, name: str, definition: Any) -> None:
        """It has one machine only."""

    def fire(self, name: str, event: str, **more: Any) -> TransitionRecord:
        source, sequence = self._state, self._sequence + 1
        time.sleep(0)  # somebody else's turn
        target = "open" if event == "push" else "shut"
        record = TransitionRecord(name, "door", sequence, 0.0, event, source, target)
        self._state, self._sequence = target, sequence
        self._made.append(record)
        return record

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        return tuple(self._made)

    def describe(self, name: str) -> Any:
        return Faulty(None, state=self._state, sequence=self._sequence)


def states_with_a_gap() -> Any:
    """a history that leaves one transition out"""
    sound = StateManager()

    def history(name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        kept = sound.history(name, last)
        return (*kept[:3], *kept[4:])

    return Faulty(sound, history=history)
