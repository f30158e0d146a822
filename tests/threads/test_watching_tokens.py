"""Joins, results, queues, permits and the collector in the order of locks: what would hang, and its innocent twin."""

from __future__ import annotations

import concurrent.futures
import gc
import inspect
import queue
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from coresys.records import Part
from coresys.threads.watching import chains, tokens, words
from coresys.threads.watching.graph import cycles
from coresys.threads.watching.install import install, uninstall
from coresys.threads.watching.places import edges_of

PATCHED = [
    *((threading.Thread, name) for name in ("join", "is_alive")),
    *((Future, name) for name in ("result", "exception", "done", "set_result", "set_exception", "add_done_callback")),
    *((queue.Queue, name) for name in ("get", "put", "join", "task_done", "empty", "full", "qsize")),
    *((threading.Semaphore, name) for name in ("__init__", "acquire", "__enter__", "release")),
    (threading.BoundedSemaphore, "release"),
    (concurrent.futures.ThreadPoolExecutor, "submit"),
    (threading, "_allocate_lock"),
]


@pytest.fixture
def found() -> Iterator[Callable[[], list[Part]]]:
    """Locks are watched; tells of the circles since the test began, or since it was asked last."""
    install()
    gc.collect()  # what others left would be finalized in the midst of this
    chains.renew()

    def read() -> list[Part]:
        nodes, edges = edges_of(chains.renew())
        return [words.part_of(cycle, nodes) for cycle in cycles(edges)]

    try:
        yield read
    finally:
        uninstall()
        chains.renew()


def started(function: Callable[[], object], name: str = "other") -> threading.Thread:
    thread = threading.Thread(target=function, name=name)
    thread.start()
    return thread


def until(condition: Callable[[], object]) -> None:
    """Wait without anything that is watched: as if by chance."""
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


def run(function: Callable[[], object]) -> None:
    started(function).join()


def take(*locks: Any) -> None:
    for lock in locks:
        lock.acquire()
    for lock in reversed(locks):
        lock.release()


class Works:
    """What a thread does with a lock, and whether it has."""

    def __init__(self, lock: Any, *more: Any) -> None:
        self.locks, self.over = (lock, *more), False

    def __call__(self) -> None:
        take(*self.locks)
        self.over = True


# Threads


def test_a_join_while_holding_what_the_thread_took_is_a_circle(found: Any) -> None:
    lock = threading.Lock()
    work = Works(lock)
    thread = started(work, "worker")
    until(lambda: work.over)
    with lock:
        thread.join()
    (part,) = found()
    assert part.details[:2] == ("MainThread held lock and waited for thread worker", "thread worker took lock")
    assert [place.function.rpartition(".")[2] for place in part.where[:2]] == [
        "test_a_join_while_holding_what_the_thread_took_is_a_circle"
    ] * 2
    assert part.where[2].function == "take"


def test_a_thread_in_whose_first_steps_the_collector_came_is_known_to_who_joins_it(found: Any) -> None:
    lock = threading.Lock()

    class Early(threading.Thread):
        def _set_ident(self) -> None:  # the first thing that a thread does, before it is listed
            gc.collect()
            super()._set_ident()  # type: ignore[misc]

        def run(self) -> None:
            take(lock)
            past.append(True)

    past: list[bool] = []
    thread = Early()
    thread.start()
    until(lambda: past)
    with lock:
        thread.join()
    assert len(found()) == 1


def test_the_lock_may_be_one_that_another_thread_takes_beneath(found: Any) -> None:
    outer, inner = threading.Lock(), threading.RLock()
    work = Works(outer, inner)
    thread = started(work)
    until(lambda: work.over)
    with inner:
        thread.join()
    assert len(found()) == 1


def test_a_thread_that_was_joined_or_seen_dead_is_over(found: Any) -> None:
    lock = threading.Lock()
    joined, dead, late = (started(Works(lock)) for _ in range(3))
    joined.join()
    until(lambda: not dead.is_alive())
    late.join(10)
    with lock:
        for thread in (joined, dead, late):
            thread.join()
    assert found() == []


def test_a_join_with_a_timeout_ends_by_itself(found: Any) -> None:
    lock = threading.Lock()
    work = Works(lock)
    thread = started(work)
    until(lambda: work.over)
    with lock:
        thread.join(10)
    assert found() == []


def test_a_thread_that_only_tries_the_lock_does_not_need_it(found: Any) -> None:
    lock, tried = threading.Lock(), []

    def work() -> None:
        if lock.acquire(timeout=5):
            lock.release()
        tried.append(1)

    thread = started(work)
    until(lambda: tried)
    with lock:
        thread.join()
    assert found() == []


def test_what_a_thread_took_on_an_older_leaf_is_not_of_this_one(found: Any) -> None:
    lock, go = threading.Lock(), threading.Event()
    work = Works(lock)

    def twice() -> None:
        work()
        go.wait()

    thread = started(twice)
    until(lambda: work.over)
    chains.renew()
    go.set()
    with lock:
        thread.join()
    assert found() == []


def test_nothing_keeps_a_thread_or_its_party(found: Any) -> None:
    work = Works(threading.Lock())
    thread = started(work)
    until(lambda: work.over)
    with threading.Lock():
        thread.join()
    gone = weakref.ref(thread), weakref.ref(thread.__dict__["_coresys_party"])
    del thread
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_many_that_do_the_same_are_noted_once(found: Any) -> None:
    lock = threading.Lock()
    for _ in range(20):
        work = Works(lock)
        thread = started(work)
        until(lambda work=work: work.over)  # type: ignore[misc]
        with lock:
            thread.join()
    assert len([seen for seen in chains.current.seen if seen.ident.kind == "thread"]) == 1
    assert len(found()) == 1


def test_a_thread_that_takes_nothing_costs_nothing(found: Any) -> None:
    thread = started(int)
    with threading.Lock():
        thread.join()
    assert "_coresys_party" not in thread.__dict__
    assert not chains.current.seen


def test_errors_of_join_are_those_of_the_original(found: Any) -> None:
    with pytest.raises(RuntimeError, match="cannot join thread before it is started"):
        threading.Thread().join()
    with pytest.raises(RuntimeError, match="cannot join current thread"):
        threading.current_thread().join()


# Futures


def test_a_result_while_holding_what_the_work_took_is_a_circle(found: Any) -> None:
    lock = threading.Lock()
    with ThreadPoolExecutor(1) as pool:
        work = Works(lock)
        future = pool.submit(work)
        until(lambda: work.over)
        with lock:
            future.result()
    (part,) = found()
    assert part.details[0] == "MainThread held lock and waited for the future of Works"


@pytest.mark.parametrize(
    "wait", [concurrent.futures.wait, lambda futures: list(concurrent.futures.as_completed(futures))]
)
def test_waiting_for_several_is_waiting_for_each(wait: Any, found: Any) -> None:
    lock = threading.Lock()
    with ThreadPoolExecutor(1) as pool:
        work = Works(lock)
        future = pool.submit(work)
        until(lambda: work.over)
        until(lambda: future._state == "FINISHED")
        with lock:
            wait([future])
    assert len(found()) == 1


def told_by_result(pool: Any, work: Any) -> Any:
    future = pool.submit(work)
    future.result()
    return future


def told_by_done(pool: Any, work: Any) -> Any:
    future = pool.submit(work)
    until(future.done)
    return future


def told_by_wait(pool: Any, work: Any) -> Any:
    future = pool.submit(work)
    concurrent.futures.wait([future])
    return future


def told_by_shutdown(pool: Any, work: Any) -> Any:
    with ThreadPoolExecutor(1) as another:
        return another.submit(work)


@pytest.mark.parametrize("told", [told_by_result, told_by_done, told_by_wait, told_by_shutdown])
def test_a_future_that_is_known_to_be_done_is_not_waited_for(told: Any, found: Any) -> None:
    lock = threading.Lock()
    with ThreadPoolExecutor(1) as pool:
        future = told(pool, Works(lock))
        with lock:
            future.result()
    assert found() == []


def test_a_callback_asks_for_a_result_that_is_there(found: Any) -> None:
    lock, results = threading.Lock(), []

    def keep(future: Any) -> None:
        with lock:
            results.append(future.result())

    with ThreadPoolExecutor(1) as pool:
        pool.submit(Works(lock)).add_done_callback(keep)
    assert results == [None]
    assert found() == []


def test_what_a_worker_took_for_others_is_not_of_this_future(found: Any) -> None:
    lock = threading.Lock()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(Works(lock)).result()
        work = Works(threading.Lock())
        future = pool.submit(work)
        until(lambda: work.over)
        with lock:
            future.result()
    assert found() == []


def test_shutting_down_while_holding_what_the_work_took_is_a_circle(found: Any) -> None:
    lock = threading.Lock()
    pool = ThreadPoolExecutor(1)
    work = Works(lock)
    pool.submit(work)
    until(lambda: work.over)
    with lock:
        pool.shutdown()
    assert len(found()) == 1


def test_the_orders_within_pieces_of_work_are_seen_once_each(found: Any) -> None:
    one, other = threading.Lock(), threading.Lock()
    with ThreadPoolExecutor(1) as pool:
        for _ in range(50):
            pool.submit(Works(one, other)).result()
    assert len([seen for seen in chains.current.seen if seen.ident is other._ident]) == 1  # type: ignore[attr-defined]
    assert found() == []


def test_an_exception_comes_through_as_it_was(found: Any) -> None:
    def fails() -> None:
        raise LookupError("mine")

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(fails)
        with pytest.raises(LookupError, match="mine") as caught:
            future.result()
        assert future.exception() is caught.value
        shown = traceback.extract_tb(caught.value.__traceback__)
    assert shown[-1].name == "fails"
    gone = weakref.ref(future)
    del future, caught
    assert gone() is None, "a circle with an exception keeps it"


# Queues


def in_order(*parts: Callable[[], object]) -> None:
    for part in parts:
        run(part)


def test_an_item_that_is_put_under_a_lock_is_not_to_be_waited_for_under_it(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[int]()

    def put() -> None:
        with lock:
            items.put(1)

    def get() -> None:
        with lock:
            items.get()

    in_order(put, get)
    (part,) = found()
    assert "waited for item of items" in part.details[0]
    assert "before it put into that queue" in part.details[1]


def test_items_that_somebody_puts_freely_are_no_circle(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[int]()

    def put() -> None:
        with lock:
            items.put(1)

    def get() -> None:
        with lock:
            items.get()

    in_order(put, lambda: items.put(1), get, get)
    assert found() == []


@pytest.mark.parametrize("looks", ["empty", "qsize", "full"])
def test_whoever_looks_first_does_not_wait(looks: str, found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[int]()

    def put() -> None:
        with lock:
            items.put(1)

    def get() -> None:
        with lock:
            getattr(items, looks)()
            items.get()

    in_order(put, get)
    assert found() == []


def test_a_get_that_does_not_wait_is_none(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[int]()

    def put() -> None:
        with lock:
            items.put(1)

    def get(**how: Any) -> None:
        with lock:
            items.get(**how)

    in_order(put, put, lambda: get(block=False), lambda: get(timeout=5))
    assert found() == []


def test_taking_out_what_one_has_just_put_is_no_wait(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[int]()

    def both() -> None:
        with lock:
            items.put(1)
            items.get()

    in_order(both, both)
    assert found() == []


def test_putting_back_what_one_has_got_keeps_nobody_waiting(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[int]()
    items.put(1)

    def both() -> None:
        with lock:
            items.put(items.get() + 1)

    in_order(both, both, both)
    assert found() == []


def consumer(items: Any, lock: Any) -> Callable[[], None]:
    def consume() -> None:
        while items.get() is not None:
            with lock:
                pass
            items.task_done()

    return consume


def test_waiting_for_the_end_of_work_that_needs_the_lock_is_a_circle(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[Any]()
    thread = started(consumer(items, lock))
    items.put(1)
    until(lambda: not items.unfinished_tasks)
    with lock:
        items.join()
    items.put(None)
    thread.join()
    (part,) = found()
    assert "waited for end of work of items" in part.details[0]


def test_room_in_a_queue_that_was_full_needs_the_consumers_lock(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[Any](1)
    items.put(1)
    thread = threading.Thread(target=consumer(items, lock))
    filler = started(lambda: items.put(2))
    until(lambda: items.not_full._waiters)  # type: ignore[attr-defined]
    thread.start()
    filler.join()
    until(lambda: not items.unfinished_tasks)
    with lock:
        items.put(3)
    items.put(None)
    thread.join()
    assert len(found()) == 1


def test_room_in_a_queue_that_is_large_enough_is_not_waited_for(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[Any](10)
    thread = started(consumer(items, lock))
    items.put(1)
    until(lambda: not items.unfinished_tasks)
    with lock:
        items.put(2)
    items.put(None)
    thread.join()
    assert found() == []


def test_a_lock_that_a_consumer_takes_outside_of_its_work_is_not_part_of_it(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[Any]()

    def consume() -> None:
        take(lock)
        while items.get() is not None:
            items.task_done()
        take(lock)

    thread = started(consume)
    items.put(1)
    until(lambda: not items.unfinished_tasks)
    with lock:
        items.join()
    items.put(None)
    thread.join()
    assert found() == []


# Semaphores


@pytest.mark.parametrize("make", [threading.Semaphore, threading.BoundedSemaphore])
def test_a_permit_of_one_is_a_lock(make: Any, found: Any) -> None:
    permit, lock = make(1), threading.Lock()
    in_order(lambda: take(permit, lock), lambda: take(lock, permit))
    assert len(found()) == 1


def test_a_permit_that_another_gives_is_a_signal(found: Any) -> None:
    permit, lock = threading.Semaphore(1), threading.Lock()

    def waits() -> None:
        permit.acquire()
        take(lock)

    in_order(waits, permit.release, lambda: take(lock, permit))
    assert found() == []


def test_several_permits_have_no_order(found: Any) -> None:
    permits, lock = threading.Semaphore(2), threading.Lock()
    in_order(lambda: take(permits, lock), lambda: take(lock, permits))
    assert found() == []


def dine(seats: Any, forks: int, *, unseated: int = 0) -> None:
    """Philosophers, each of whom sits down and takes two forks; some of the last do not ask for a seat."""
    made = [threading.Lock() for _ in range(forks)]

    def eat(at: int) -> None:
        with ExitStack() as stack:
            if at < forks - unseated:
                stack.enter_context(seats)
            stack.enter_context(made[at])
            stack.enter_context(made[(at + 1) % forks])

    in_order(*(lambda at=at: eat(at) for at in range(forks)))


@pytest.mark.parametrize("make", [threading.Semaphore, threading.BoundedSemaphore])
@pytest.mark.parametrize(("permits", "forks", "circles"), [(2, 3, 0), (3, 3, 1), (3, 5, 0), (4, 5, 0), (5, 5, 1)])
def test_fewer_permits_than_a_circle_has_edges_excuse_it(
    make: Any, permits: int, forks: int, circles: int, found: Any
) -> None:
    dine(make(permits), forks)
    assert len(found()) == circles


def test_permits_that_some_do_without_excuse_nothing(found: Any) -> None:
    dine(threading.Semaphore(2), 3, unseated=1)
    assert len(found()) == 1
    dine(threading.Semaphore(2), 4, unseated=1)  # three of the four edges need one of two
    assert found() == []


def test_permits_that_have_become_more_excuse_nothing(found: Any) -> None:
    seats = threading.Semaphore(2)
    dine(seats, 3)
    seats.release()
    assert len(found()) == 1


def test_permits_that_are_held_when_they_go_are_held_by_nobody(found: Any) -> None:
    seats = threading.Semaphore(3)
    seats.acquire()
    seats.acquire()
    assert len(chains.here.me.chain.held()) == 2
    del seats
    gc.collect()
    with threading.Lock():
        pass
    assert chains.here.me.chain.held() == []


def test_what_is_taken_behind_a_permit_is_waited_for_by_whoever_joins(found: Any) -> None:
    seats, lock = threading.Semaphore(2), threading.Lock()
    work = Works(seats, lock)
    thread = started(work)
    until(lambda: work.over)
    with lock:
        thread.join()
    assert len(found()) == 1


def test_permits_in_a_with_block_are_let_go(found: Any) -> None:
    permit = threading.BoundedSemaphore()
    with permit:
        assert len(chains.here.me.chain.held()) == 1
    assert chains.here.me.chain.ident is None
    with pytest.raises(ValueError, match="released too many times"):
        permit.release()
    assert permit.acquire(blocking=False)
    assert not permit.acquire(timeout=0.001)
    permit.release()
    assert found() == []


# Finalizers


class Finalized:
    """Is collected, not counted down; takes a lock then."""

    def __init__(self, lock: Any) -> None:
        self.lock, self.me = lock, self

    def __del__(self) -> None:
        take(self.lock)


def test_a_finalizer_takes_what_the_collector_may_come_by_with(found: Any) -> None:
    lock = threading.Lock()
    take(lock)
    Finalized(lock)
    gc.collect()
    (part,) = found()
    assert any("a finalizer that the garbage collector ran" in detail for detail in part.details)


def test_what_can_be_taken_twice_or_is_taken_by_finalizers_only_is_innocent(found: Any) -> None:
    again, only = threading.RLock(), threading.Lock()
    take(again)
    Finalized(again)
    Finalized(only)
    gc.collect()
    assert found() == []


def test_a_finalizer_that_is_counted_down_to_is_the_threads_own(found: Any) -> None:
    lock = threading.Lock()
    take(lock)
    thing = Finalized(lock)
    thing.me = None  # type: ignore[assignment]
    del thing
    assert found() == []


def test_the_collector_leaves_no_trace_on_a_thread(found: Any) -> None:
    with threading.Lock() as _:
        before = chains.here.me.chain
        gc.collect()
        assert chains.here.me.chain is before
    gc.collect()
    assert chains.here.me.chain.ident is None


# As if it were not there


def test_all_is_put_back_and_looks_like_the_original() -> None:
    before = {(owner, name): vars(owner)[name] for owner, name in PATCHED}
    callbacks = list(gc.callbacks)
    install()
    try:
        for (owner, name), original in before.items():
            now = vars(owner)[name]
            assert now is not original, name
            if name != "_allocate_lock":
                assert inspect.signature(now) == inspect.signature(original)
                assert (now.__name__, now.__doc__) == (original.__name__, original.__doc__)
    finally:
        uninstall()
    assert all(vars(owner)[name] is original for (owner, name), original in before.items())
    assert gc.callbacks == callbacks


def test_a_subclass_of_ones_own_is_left_alone(found: Any) -> None:
    class Mine(threading.Thread):
        joined = 0

        def join(self, timeout: float | None = None) -> None:
            self.joined += 1
            super().join(timeout)

    thread = Mine(target=int)
    thread.start()
    thread.join()
    assert thread.joined == 1
    assert not thread.is_alive()


def test_nothing_is_noted_while_nothing_is_to_be(found: Any) -> None:
    lock, items = threading.Lock(), queue.Queue[int]()
    with chains.unnoted(), ThreadPoolExecutor(1) as pool:
        work = Works(lock)
        future = pool.submit(work)
        items.put(1)
        with lock:
            items.get()
        until(lambda: work.over)
        future.result()
        assert not chains.current.seen
        assert not chains.current.pending


def test_a_semaphore_that_has_got_more_permits_is_no_lock_and_held_by_nobody(found: Any) -> None:
    permits = threading.Semaphore()
    one = threading.Lock()
    permits.acquire()
    permits.release(2)
    for _ in range(2):
        permits.acquire()
    with one:
        pass
    chains.renew()
    assert chains.here.me.chain.ident is None
    for _ in range(2):
        permits.release()


def test_a_thread_that_collects_garbage_before_it_is_known_is_found_by_whoever_joins_it(found: Any) -> None:
    lock, done = threading.Lock(), threading.Event()

    def work() -> None:
        with lock:
            pass
        done.set()

    thread = threading.Thread(target=work)
    started = thread._started  # type: ignore[attr-defined]
    begin = started.set

    def set_and_collect() -> None:
        gc.collect()  # in the new thread, which threading does not count among the active ones yet
        begin()

    started.set = set_and_collect
    thread.start()
    assert done.wait(10)
    with lock:
        thread.join()
    assert len(found()) == 1


def test_a_queue_for_each_answer_costs_no_more_the_more_there_were(found: Any) -> None:
    """Who gets from a new queue each time begins a tree for each: to see whether one is known asks no other."""
    lock = threading.Lock()
    asked = 0

    def count(frame: Any, event: str, argument: object) -> None:
        nonlocal asked
        if frame.f_code.co_filename == tokens.__file__:
            asked += 1

    per: list[int] = []
    for number in range(300):
        answers: queue.Queue[int] = queue.Queue()
        answers.put(number)
        before = asked
        sys.setprofile(count)
        try:
            answers.get()
        finally:
            sys.setprofile(None)
        per.append(asked - before)
        with lock:
            pass
    assert max(per[200:]) <= max(per[:100])
    assert found() == []
