"""The manager: parts that it is given, locks that it makes, and what is left after it."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from threads_helping import PATIENCE, Runner, no_threads_left  # noqa: F401  # autouse

from coresys.errors.hierarchy import LockClosedError, LockOrderError, LockTimeoutError, RankError
from coresys.system_records import ThreadRecord
from coresys.testing import fakes
from coresys.testing.ordering import Ordering
from coresys.threads import LockHierarchy, ThreadManager, ThreadPool, acquire_all

if TYPE_CHECKING:
    from coresys.interfaces import IThreadManager

SERVICE = LockHierarchy("service", ["registry", "channel"])


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 1.0
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def manager(**how: Any) -> ThreadManager:
    how.setdefault("pool", ThreadPool(2))
    how.setdefault("hierarchy", SERVICE)
    return ThreadManager(**how)


def test_it_does_what_the_interface_says() -> None:
    threads: IThreadManager = manager()
    assert threads.submit(int, "7", base=8).result(PATIENCE) == 7
    assert threads.submit_with(lambda: 5, priority="system", channel="c").result(PATIENCE) == 5
    assert threads.statistics().completed == 2
    assert "MainThread" in [record.name for record in threads.threads()]
    assert threads.locks() == ()
    threads.shutdown()
    threads.shutdown()
    with pytest.raises(RuntimeError):
        threads.submit(int)


@pytest.mark.parametrize("make", ["lock", "rlock", "read_write_lock", "condition"])
def test_locks_are_made_of_ranks_listed_while_somebody_has_them_and_closed_at_the_end(make: str) -> None:
    threads = manager()
    made = getattr(threads, make)("channel")
    first = threads.lock("registry", name="first", timeout=0.5)
    assert [(lock.name, lock.rank) for lock in threads.locks()] == [("first", 0), ("service.channel", 1)]
    del made
    gc.collect()
    assert [lock.name for lock in threads.locks()] == ["first"]
    assert first.timeout == 0.5
    with pytest.raises(RankError, match="no rank 'chanel'"):
        getattr(threads, make)("chanel")
    threads.shutdown()
    with pytest.raises(LockClosedError):
        first.acquire()
    with pytest.raises(LockClosedError):
        threads.lock("registry").acquire()


def test_the_clock_that_it_is_given_times_sampled_holds() -> None:
    threads = manager(clock=FakeClock(), pool=ThreadPool(1, clock=FakeClock()))
    lock = threads.lock("registry", sample_every=2)
    for _ in range(4):
        with lock:
            pass
    (figures,) = threads.locks()
    assert (figures.samples, figures.held_sampled) == (2, 1.0)
    threads.submit(int).result(PATIENCE)
    assert threads.statistics().waits[1] == 1.0
    threads.shutdown()


def test_the_reader_of_threads_is_injected() -> None:
    record = ThreadRecord("x", 1, 2, False)
    threads = manager(read_threads=lambda: (record,))
    assert threads.threads() == (record,)
    threads.shutdown()


def test_without_a_hierarchy_it_makes_no_locks() -> None:
    threads = manager(hierarchy=None)
    with pytest.raises(ValueError, match="no lock hierarchy"):
        threads.lock("registry")
    threads.shutdown()


def test_the_order_holds_in_tasks_and_what_waited_is_told() -> None:
    threads = manager()
    registry, channel = threads.lock("registry"), threads.lock("channel")

    def wrong() -> None:
        with channel, registry:
            pass

    with pytest.raises(LockOrderError):
        threads.submit(wrong).result(PATIENCE)
    with registry:
        waiting = threads.submit(lambda: registry.acquire() and registry.release())  # type: ignore[func-returns-value]
        while not registry.statistics().waiting:
            time.sleep(0.0005)
    waiting.result(PATIENCE)
    assert [lock.name for lock in threads.contention()] == ["service.registry"]
    assert repr(threads).endswith("2 locks>")
    threads.shutdown()


def test_after_shutdown_no_lock_is_held_and_nobody_waits() -> None:
    threads = manager()
    locks = [threads.lock("registry"), threads.rlock("channel")]
    taken, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with locks[0], locks[1]:
            taken.set()
            assert leave.wait(PATIENCE)

    def wait_for(lock: Any) -> Callable[[], None]:
        def wait() -> None:
            with pytest.raises(LockClosedError):
                lock.acquire()

        return wait

    holder = Runner(hold)
    assert taken.wait(PATIENCE)
    waiters = [Runner(wait_for(lock)) for lock in locks for _ in range(3)]
    while sum(lock.statistics().waiting for lock in locks) < 6:
        time.sleep(0.0005)
    threads.shutdown()
    for waiter in waiters:
        waiter.finish()
    assert not any(lock.locked() for lock in locks)
    leave.set()
    holder.finish()


@pytest.mark.parametrize("kind", ["lock", "rlock", "sampled", "read", "write", "condition", "all"])
def test_waits_for_locks_are_timed_by_the_managers_clock(kind: str) -> None:
    clock = fakes.FakeClock()
    threads = ThreadManager(pool=ThreadPool(1), hierarchy=LockHierarchy("h", ["a"]), clock=clock)
    both = threads.read_write_lock("a")
    condition = threads.condition("a")
    made = {"rlock": threads.rlock("a"), "sampled": threads.lock("a", sample_every=1), "condition": condition.lock}
    lock = made.get(kind) or threads.lock("a")
    held: Any = both.writing() if kind in ("read", "write") else lock
    waited: dict[str, Callable[[], Any]] = {
        "read": lambda: both.reading(3600),
        "write": lambda: both.writing(3600),
        "all": lambda: acquire_all(lock, timeout=3600),
    }
    order = Ordering("it is held", "the other may ask", "an hour passes")
    figures = both if kind in ("read", "write") else lock

    def hold() -> None:
        with held:
            order.reach("it is held")
            with order.step("an hour passes", when=lambda: figures.statistics().waiting):
                clock.advance(3600)
            ended.wait()

    def ask() -> tuple[float, float]:
        order.reach("the other may ask")
        try:
            with pytest.raises(LockTimeoutError) as late, waited.get(kind, lambda: lock.within(3600))():
                pass
        finally:
            ended.set()
        return late.value.timeout, late.value.waited

    ended = threading.Event()
    assert order.run(holder=hold, asks=ask)["asks"] == (3600, 3600)
    threads.shutdown()


def test_waits_on_a_condition_are_timed_by_the_managers_clock() -> None:
    clock = fakes.FakeClock()
    threads = ThreadManager(pool=ThreadPool(1), hierarchy=LockHierarchy("h", ["a"]), clock=clock)
    condition = threads.condition("a")
    asked: list[float] = []

    def never() -> bool:
        asked.append(clock.now())
        return False

    def wait() -> bool:
        with condition:
            return condition.wait_for(never, timeout=60)

    order = Ordering("a minute passes")

    def tick() -> None:
        with order.step("a minute passes", when=lambda: condition._waiters):
            clock.advance(60)

    assert order.run(waits=wait, tick=tick)["waits"] is False
    assert asked == [1000.0, 1060.0]
    threads.shutdown()
