"""The executor: priorities, channels, bounds, nested waits, context, asyncio. What it shares with the standard
library's is tested by that library's own tests (test_threads_pool_stdlib)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, as_completed, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.thread import BrokenThreadPool
from functools import partial
from typing import Any

import pytest
from threads_helping import PATIENCE, Runner, no_threads_left, stormy, together  # noqa: F401  # fixtures

from coresys.errors.hierarchy import QueueFullError, StackSizeError, TaskCycleError
from coresys.threads import ThreadPool
from coresys.threads.stacks import STACK_FLOOR

ORDINARY_STACK = threading.stack_size()  # before any test began


class Blocker:
    """Keeps workers busy until it is opened."""

    def __init__(self, pool: ThreadPool, workers: int = 1, **how: Any) -> None:
        self.open = threading.Event()
        self.inside = threading.Semaphore(0)
        self.futures = [pool.submit_with(self.block, **how) for _ in range(workers)]
        for _ in range(workers):
            assert self.inside.acquire(timeout=PATIENCE)

    def block(self) -> None:
        self.inside.release()
        assert self.open.wait(PATIENCE)

    def __enter__(self) -> Blocker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.open.set()
        for future in self.futures:
            future.result(PATIENCE)


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """One worker for whatever comes, and one for system tasks."""
    with ThreadPool(2, name="two") as made:
        yield made


# -- what is refused when it is made ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "error", "problem"),
    [
        ({"max_workers": 0}, ValueError, "greater than 0"),
        ({"max_workers": -1}, ValueError, "greater than 0"),
        ({"max_workers": 21}, ValueError, "at most 20"),
        ({"max_workers": 2, "reserved": 3}, ValueError, "3 cannot be reserved"),
        ({"max_queued": 0}, ValueError, "greater than 0"),
        ({"when_full": "drop"}, ValueError, "block or raise"),
        ({"initializer": 5}, TypeError, "callable"),
        ({"stack_size": STACK_FLOOR - 1}, StackSizeError, f"least {STACK_FLOOR}"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(how: dict[str, Any], error: type[Exception], problem: str) -> None:
    with pytest.raises(error, match=problem):
        ThreadPool(**how)


def test_a_pool_has_twenty_workers_where_nobody_says_otherwise() -> None:
    with ThreadPool() as pool:
        assert "of 20 workers" in repr(pool)
    assert "0 of 1 workers" in repr(ThreadPool(1))


def test_an_unknown_priority_is_refused(pool: ThreadPool) -> None:
    with pytest.raises(ValueError, match="system, processing, monitoring, not 'urgent'"):
        pool.submit_with(int, priority="urgent")


# -- priorities ------------------------------------------------------------------------------------------------------


def test_what_waits_is_run_by_priority_and_within_one_in_order() -> None:
    ran: list[str] = []
    with ThreadPool(1) as pool, Blocker(pool):
        for name in ("monitoring", "processing", "system"):
            for number in range(3):
                pool.submit_with(partial(ran.append, f"{name}{number}"), priority=name)
        assert pool.statistics().queued == (3, 3, 3)
    assert ran == [f"{name}{number}" for name in ("system", "processing", "monitoring") for number in range(3)]


def test_one_pick_in_sixteen_is_from_the_lowest_queue_that_has_anything() -> None:
    ran: list[str] = []
    with ThreadPool(1) as pool, Blocker(pool):
        for name, many in (("system", 64), ("processing", 64), ("monitoring", 2)):
            for _ in range(many):
                pool.submit_with(partial(ran.append, name), priority=name)
    places = [at for at, name in enumerate(ran) if name == "monitoring"]
    assert places == [14, 30]  # the task that kept the worker busy was the first of the sixteen
    assert ran[46] == "processing"
    assert ran[:47].count("processing") == 1  # the third such pick, when monitoring had nothing left


def test_the_first_pick_of_all_is_the_highest() -> None:
    with ThreadPool(1) as pool:
        scheduler, ran = pool._scheduler, list[str]()
        with scheduler.lock:  # its worker cannot pick before all are there
            for name in ("monitoring", "processing", "system"):
                pool.submit_with(partial(ran.append, name), priority=name)
    assert ran == ["system", "processing", "monitoring"]


def test_a_system_task_does_not_wait_for_what_runs(pool: ThreadPool) -> None:
    with Blocker(pool):
        assert pool.submit_with(lambda: threading.current_thread().name, priority="system").result(PATIENCE)
        waiting = pool.submit(int)
        assert not waiting.done()
        assert pool.statistics().workers == 2


def test_the_reserved_worker_does_nothing_else(pool: ThreadPool) -> None:
    first = pool.submit_with(threading.get_ident, priority="system").result(PATIENCE)
    with Blocker(pool):
        others = [pool.submit_with(threading.get_ident, priority="monitoring") for _ in range(3)]
        assert pool.submit_with(threading.get_ident, priority="system").result(PATIENCE) == first
        assert not any(other.done() for other in others)
    assert first not in {other.result(PATIENCE) for other in others}


# -- workers ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 2, 7, 20])
def test_there_are_never_more_workers_than_stated(most: int) -> None:
    seen: list[int] = []
    live = [0]
    guard = threading.Lock()

    def task() -> None:
        with guard:
            live[0] += 1
            seen.append(live[0])
        time.sleep(0)
        with guard:
            live[0] -= 1

    with ThreadPool(most, name="counted") as pool:

        def submit() -> None:
            for number in range(250):
                pool.submit_with(task, priority=("system", "processing", "monitoring")[number % 3])

        together(*[submit] * 4)
        named = [thread for thread in threading.enumerate() if thread.name.startswith("counted_")]
        assert len(named) <= most
        assert pool.statistics().workers <= most
    assert len(seen) == 1000
    assert max(seen) <= most
    assert pool.statistics().most_workers <= most


def test_tasks_that_meet_have_a_worker_each() -> None:
    with ThreadPool(5, reserved=0) as pool:
        for _ in range(20):
            barrier = threading.Barrier(5)
            wait([pool.submit(barrier.wait, PATIENCE) for _ in range(5)])
            assert not barrier.broken


def test_threads_have_the_pools_name_and_stack_size_and_leave_that_of_others_alone() -> None:
    with ThreadPool(1, thread_name_prefix="named", stack_size=STACK_FLOOR) as pool:
        assert pool.submit(lambda: threading.current_thread().name).result(PATIENCE) == "named_0"
        # Not at once: a pool of another test that ends may be starting a thread in this very moment.
        end = time.monotonic() + PATIENCE
        while threading.stack_size() != ORDINARY_STACK and time.monotonic() < end:
            time.sleep(0.001)
        assert threading.stack_size() == ORDINARY_STACK


def test_a_failing_initializer_breaks_the_pool() -> None:
    with ThreadPool(1, initializer=lambda: 1 / 0) as pool:
        future = pool.submit_with(int, channel="c")
        with pytest.raises(BrokenThreadPool):
            future.result(PATIENCE)
        with pytest.raises(BrokenThreadPool):
            pool.submit(int)


def test_an_initializer_is_called_once_in_each_thread() -> None:
    called: list[tuple[int, str]] = []
    with ThreadPool(1, initializer=lambda word: called.append((threading.get_ident(), word)), initargs=("x",)) as pool:
        ident = pool.submit(threading.get_ident).result(PATIENCE)
        pool.submit(int).result(PATIENCE)
    assert called == [(ident, "x")]


# -- channels --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_tasks_of_a_channel_run_in_order_and_never_two_at_once() -> None:
    begun: dict[int, list[int]] = {key: [] for key in range(20)}
    inside = dict.fromkeys(begun, 0)
    overlaps = []

    def task(key: int, number: int) -> None:
        inside[key] += 1
        if inside[key] != 1:
            overlaps.append(key)
        begun[key].append(number)
        if number % 7 == 0:
            time.sleep(0)
        inside[key] -= 1

    with ThreadPool(6) as pool:
        for number in range(100):
            for key in begun:
                level = ("system", "processing", "monitoring")[(number + key) % 3]
                pool.submit_with(partial(task, key, number), priority=level, channel=f"c{key}")
    assert overlaps == []
    assert all(numbers == list(range(100)) for numbers in begun.values())
    assert pool._scheduler.channels == {}


def test_a_channel_does_not_starve_the_others() -> None:
    ran: list[str] = []
    with ThreadPool(1) as pool, Blocker(pool):
        for _ in range(100):
            pool.submit_with(partial(ran.append, "long"), channel="long")
        for _ in range(2):
            pool.submit_with(partial(ran.append, "short"), channel="short")
        pool.submit(ran.append, "plain")
    assert ran[:16] == ["long"] * 16
    assert sorted(ran[16:19]) == ["plain", "short", "short"]


def test_a_channel_lets_a_higher_priority_pass_between_two_of_its_tasks() -> None:
    ran: list[str] = []
    with ThreadPool(1) as pool:

        def first() -> None:
            ran.append("m0")
            pool.submit_with(partial(ran.append, "system"), priority="system")

        with Blocker(pool):
            pool.submit_with(first, priority="monitoring", channel="c")
            pool.submit_with(partial(ran.append, "m1"), priority="monitoring", channel="c")
    assert ran == ["m0", "system", "m1"]


def test_a_system_task_takes_those_before_it_in_its_channel_along(pool: ThreadPool) -> None:
    ran: list[str] = []
    with Blocker(pool):
        pool.submit_with(partial(ran.append, "before"), priority="monitoring", channel="c")
        urgent = pool.submit_with(partial(ran.append, "urgent"), priority="system", channel="c")
        after = pool.submit_with(partial(ran.append, "after"), priority="monitoring", channel="c")
        urgent.result(PATIENCE)
        assert ran == ["before", "urgent"]
        assert not after.done()  # the reserved worker gave the channel back
    after.result(PATIENCE)


def test_a_cancelled_task_of_a_channel_is_passed_over(pool: ThreadPool) -> None:
    ran: list[int] = []
    with Blocker(pool):
        futures = [pool.submit_with(partial(ran.append, number), channel="c") for number in range(4)]
        assert futures[1].cancel()
        assert futures[2].cancel()
    wait(futures)
    assert ran == [0, 3]


# -- nested ----------------------------------------------------------------------------------------------------------


def _plain(pool: ThreadPool, futures: list[Any]) -> list[Any]:
    return [future.result(PATIENCE) for future in futures]


def _endless(pool: ThreadPool, futures: list[Any]) -> list[Any]:
    return [future.result() for future in futures]


def _waited(pool: ThreadPool, futures: list[Any]) -> list[Any]:
    assert wait(futures).not_done == set()
    return [future.result() for future in futures]


def _as_completed(pool: ThreadPool, futures: list[Any]) -> list[Any]:
    return sorted((future.result() for future in as_completed(futures)), key=str)


def _exceptions(pool: ThreadPool, futures: list[Any]) -> list[Any]:
    assert all(future.exception() is None for future in futures)
    return [future.result() for future in futures]


def _first(pool: ThreadPool, futures: list[Any]) -> list[Any]:
    left, values = set(futures), []
    while left:
        done, left = wait(left, return_when=FIRST_COMPLETED)
        assert done
        values += [future.result() for future in done]
    return sorted(values, key=str)


WAYS = [_plain, _endless, _waited, _as_completed, _exceptions, _first]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("channel", [None, "c", "own"])
def test_tasks_that_wait_for_tasks_of_the_same_pool_never_deadlock(
    way: Callable[[ThreadPool, list[Any]], list[Any]], workers: int, channel: str | None
) -> None:
    with ThreadPool(workers) as pool:

        def outer(number: int) -> list[int]:
            name = None if channel is None else f"inner{number if channel == 'own' else ''}"
            inner = [pool.submit_with(partial(middle, number, each), channel=name) for each in range(3)]
            return way(pool, inner)

        def middle(number: int, each: int) -> int:
            return pool.submit(pow, number, each).result()

        outers = [pool.submit(outer, number) for number in range(6)]
        for number, future in enumerate(outers):
            assert sorted(future.result(PATIENCE), key=str) == sorted([1, number, number**2], key=str)
    figures = pool.statistics()
    assert figures.completed == figures.submitted == 6 + 18 + 18
    assert figures.most_workers <= workers


def test_map_inside_a_task_of_the_same_pool_keeps_its_order() -> None:
    with ThreadPool(1) as pool:
        assert pool.submit(lambda: list(pool.map(pow, range(5), [2] * 5))).result(PATIENCE) == [0, 1, 4, 9, 16]


@pytest.mark.slow
def test_deep_nesting_on_one_worker_is_a_deep_stack_and_no_deadlock() -> None:
    with ThreadPool(1, stack_size=8 * 1024 * 1024) as pool:

        def down(left: int) -> int:
            return 0 if left == 0 else 1 + pool.submit(down, left - 1).result()

        assert pool.submit(down, 80).result(PATIENCE) == 80


def test_a_helper_runs_nothing_but_what_it_waits_for() -> None:
    ran: list[str] = []
    with ThreadPool(1) as pool:

        def outer() -> None:
            pool.submit(ran.append, "other")
            pool.submit(ran.append, "wanted").result()
            ran.append("outer")

        pool.submit(outer).result(PATIENCE)
    assert ran == ["wanted", "outer", "other"]


def test_a_task_that_waits_for_itself_is_told_so() -> None:
    with ThreadPool(1) as pool:
        box: list[Any] = []
        begin = threading.Event()

        def task() -> None:
            assert begin.wait(PATIENCE)
            box[0].result()

        box.append(pool.submit(task))
        begin.set()
        with pytest.raises(TaskCycleError, match="waits for its own result"):
            box[0].result(PATIENCE)


@pytest.mark.parametrize("channel", [None, "c"])
def test_tasks_that_wait_for_one_another_are_told_so(channel: str | None) -> None:
    with ThreadPool(4, reserved=0) as pool:
        futures: list[Any] = []
        ready = threading.Event()

        def task(other: int) -> None:
            assert ready.wait(PATIENCE)
            futures[other].result()

        futures += [pool.submit(task, 1), pool.submit_with(partial(task, 2), channel=channel), pool.submit(task, 0)]
        ready.set()
        errors = [future.exception(PATIENCE) for future in futures]
        assert [type(error) for error in errors] == [TaskCycleError] * 3  # one was told, the others got its error


def test_a_task_that_waits_for_a_later_one_of_its_own_channel_is_told_so() -> None:
    with ThreadPool(3) as pool:

        def task() -> None:
            pool.submit_with(int, channel="c").result()

        with pytest.raises(TaskCycleError):
            pool.submit_with(task, channel="c").result(PATIENCE)


def test_a_timed_wait_inside_a_task_ends() -> None:
    with ThreadPool(2, reserved=0) as pool, Blocker(pool) as blocker:

        def task() -> str:
            with pytest.raises(FutureTimeoutError):
                blocker.futures[0].result(0.01)
            assert wait(blocker.futures, timeout=0.01).not_done == set(blocker.futures)
            return "late"

        assert pool.submit(task).result(PATIENCE) == "late"


def test_a_failure_inside_a_helper_is_the_tasks_own() -> None:
    with ThreadPool(1) as pool:

        def outer() -> str:
            with pytest.raises(ZeroDivisionError):
                pool.submit(lambda: 1 / 0).result()
            return "caught"

        assert pool.submit(outer).result(PATIENCE) == "caught"
    assert (pool.statistics().completed, pool.statistics().failed) == (2, 1)


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_a_full_queue_raises_where_that_is_asked_for() -> None:
    with ThreadPool(1, max_queued=2, when_full="raise", name="small") as pool, Blocker(pool):
        kept = [pool.submit(int), pool.submit_with(int, priority="monitoring")]
        with pytest.raises(QueueFullError, match="pool 'small': 2 tasks queued of 2 allowed") as full:
            pool.submit(int)
        assert (full.value.queued, full.value.limit, full.value.timeout) == (2, 2, None)
        pool.submit_with(int, priority="system")
        assert kept[0].cancel()
        pool.submit(int)


def test_a_full_queue_is_waited_for_and_not_for_ever() -> None:
    with ThreadPool(1, max_queued=1, queue_timeout=0.02) as pool, Blocker(pool):
        kept = pool.submit(int)
        with pytest.raises(QueueFullError, match=r"no room within 0.02 s"):
            pool.submit(int)
        assert kept.cancel()
        pool.submit(int)


@pytest.mark.slow
def test_whoever_waits_for_room_gets_it_and_the_bound_is_kept() -> None:
    most = []
    with ThreadPool(2, reserved=0, max_queued=3) as pool:

        def submit() -> None:
            for number in range(100):
                pool.submit(pow, number, 2)
                most.append(sum(pool.statistics().queued))

        together(*[submit] * 4)
    assert max(most) <= 3
    assert pool.statistics().completed == 400


def test_room_that_a_channels_task_leaves_is_told_of() -> None:
    with ThreadPool(1, max_queued=1) as pool:
        with Blocker(pool):
            pool.submit_with(int, channel="c")
            waiter = Runner(lambda: pool.submit(pow, 2, 3).result(PATIENCE))
            while not pool._scheduler.room:
                time.sleep(0.0005)
        assert waiter.finish() == 8


def test_tasks_that_submit_are_not_held_up_by_a_full_queue() -> None:
    with ThreadPool(1, max_queued=1) as pool:
        total = pool.submit(lambda: sum(future.result() for future in [pool.submit(int, 2) for _ in range(5)]))
        assert total.result(PATIENCE) == 10


def test_shutdown_refuses_whoever_waits_for_room() -> None:
    pool = ThreadPool(1, max_queued=1)
    blocker = Blocker(pool)
    pool.submit(int)
    waiter = Runner(lambda: pool.submit(int))
    while not pool._scheduler.room:
        time.sleep(0.0005)
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="after shutdown"):
        waiter.finish()
    with blocker:
        pass
    pool.shutdown()


# -- the rest of a future --------------------------------------------------------------------------------------------


def test_context_variables_are_those_of_whoever_submits() -> None:
    word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="none")
    with ThreadPool(1) as pool:
        word.set("outer")
        first = pool.submit(word.get)
        word.set("later")

        def change() -> str:
            word.set("inside")
            return word.get()

        assert pool.submit(change).result(PATIENCE) == "inside"
        assert word.get() == "later"
        assert first.result(PATIENCE) == "outer"
        assert pool.submit(lambda: pool.submit(word.get).result()).result(PATIENCE) == "later"
    word.set("none")


def test_a_cancelled_task_is_told_of_at_once(pool: ThreadPool) -> None:
    seen: list[Any] = []
    with Blocker(pool) as blocker:
        future = pool.submit(int)
        future.add_done_callback(seen.append)
        assert future.cancel()
        assert seen == [future]
        assert wait([future], timeout=PATIENCE).done == {future}
        with pytest.raises(CancelledError):
            future.result()
        assert future.cancel()
        assert not blocker.futures[0].cancel()
    assert not blocker.futures[0].cancel()
    assert pool.statistics().cancelled == 1


def test_a_callback_that_raises_is_logged_and_the_others_are_called(
    pool: ThreadPool, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    with Blocker(pool) as blocker:
        blocker.futures[0].add_done_callback(lambda _: 1 / 0)
        blocker.futures[0].add_done_callback(seen.append)
    while not seen:
        time.sleep(0.0005)
    assert "exception calling callback" in caplog.text
    assert pool.submit(int).result(PATIENCE) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_results_callbacks_and_cancels_from_all_sides_are_each_told_once() -> None:
    told: list[Any] = []
    with ThreadPool(4, reserved=0) as pool:

        def submit() -> int:
            cancelled = 0
            for number in range(150):
                future = pool.submit(pow, number, 2)
                future.add_done_callback(told.append)
                if number % 3 == 0 and future.cancel():
                    cancelled += 1
                    with pytest.raises(CancelledError):
                        future.result(PATIENCE)
                else:
                    assert future.result(PATIENCE) == number**2
            return cancelled

        cancelled = sum(together(*[submit] * 3))
    assert len(told) == len({id(future) for future in told}) == 450
    assert pool.statistics().cancelled == cancelled
    assert pool.statistics().completed == 450 - cancelled


def test_what_a_task_had_is_let_go_when_it_is_done_without_a_collection(pool: ThreadPool) -> None:
    class Thing:
        pass

    gone: list[weakref.ref[Thing]] = []

    def take(_: Thing) -> Thing:
        made = Thing()
        gone.append(weakref.ref(made))
        return made

    def fail() -> None:
        made = Thing()
        gone.append(weakref.ref(made))
        raise ValueError(made)

    argument = Thing()
    gone.append(weakref.ref(argument))
    gc.disable()
    try:
        futures: list[Any] = [pool.submit(take, argument), pool.submit(fail)]
        wait(futures)
        futures.clear()
        del argument
        pool.submit(int).result(PATIENCE)  # the worker lets the one before go when it takes the next
        end = time.monotonic() + PATIENCE
        while [each for each in gone if each() is not None] and time.monotonic() < end:
            time.sleep(0.001)
        assert [each() for each in gone] == [None] * 3
    finally:
        gc.enable()


def test_a_dropped_pool_does_what_it_took_and_ends_its_threads() -> None:
    pool = ThreadPool(2, name="dropped")
    with Blocker(pool):
        future = pool.submit(pow, 2, 3)
        gone = weakref.ref(pool)
        del pool
        assert gone() is None
    assert future.result(PATIENCE) == 8
    end = time.monotonic() + PATIENCE
    while any(thread.name.startswith("dropped") for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.001)


def test_shutdown_inside_a_task_waits_for_the_others_only() -> None:
    pool = ThreadPool(2, reserved=0)
    pool.submit(pool.shutdown).result(PATIENCE)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)
    pool.shutdown()


def test_shutdown_cancels_what_has_not_begun_where_that_is_asked_for() -> None:
    pool = ThreadPool(1)
    with Blocker(pool):
        futures = [pool.submit(int), pool.submit_with(int, channel="c"), pool.submit_with(int, priority="monitoring")]
        pool.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in futures)
    pool.shutdown()
    figures = pool.statistics()
    assert (figures.cancelled, figures.completed, figures.workers) == (3, 1, 0)


def test_figures_add_up() -> None:
    with ThreadPool(2) as pool, Blocker(pool):
        pool.submit(int)
        pool.submit(lambda: 1 / 0)
        figures = pool.statistics()
        assert (figures.busy, figures.workers, figures.queued, figures.submitted) == (1, 1, (0, 2, 0), 3)
    figures = pool.statistics()
    assert (figures.completed, figures.failed, figures.queued) == (3, 1, (0, 0, 0))
    assert figures.waits[1] > 0
    assert figures.waits[0] == figures.waits[2] == 0


# -- asyncio ---------------------------------------------------------------------------------------------------------


def test_a_coroutine_awaits_a_task_with_its_context() -> None:
    word: contextvars.ContextVar[str] = contextvars.ContextVar("word")

    async def main(pool: ThreadPool) -> tuple[Any, ...]:
        word.set("loop")
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 / 0)
        return await asyncio.gather(
            pool.run(word.get), pool.run(int, "ff", base=16, priority="system"), pool.run(str, 1, channel="c")
        )

    with ThreadPool(2) as pool:
        assert list(asyncio.run(main(pool))) == ["loop", 255, "1"]


def test_cancelling_whoever_awaits_cancels_a_task_that_has_not_begun() -> None:
    ran: list[str] = []

    async def main(pool: ThreadPool) -> None:
        with Blocker(pool):
            task = asyncio.ensure_future(pool.run(ran.append, "no"))
            while pool.statistics().queued[1] == 0:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with ThreadPool(2) as pool:
        asyncio.run(main(pool))
    assert ran == []
    assert pool.statistics().cancelled == 1


def test_a_full_queue_holds_a_coroutine_up_and_not_its_loop() -> None:
    async def main(pool: ThreadPool) -> list[int]:
        with Blocker(pool):
            first = asyncio.ensure_future(pool.run(pow, 2, 1))
            while pool.statistics().queued[1] == 0:
                await asyncio.sleep(0)
            second = asyncio.ensure_future(pool.run(pow, 2, 2))
            while not pool._scheduler.room:
                await asyncio.sleep(0)
        return [await first, await second]

    with ThreadPool(1, max_queued=1) as pool:
        assert asyncio.run(main(pool)) == [2, 4]

    async def late(pool: ThreadPool) -> None:
        with Blocker(pool):
            kept = pool.submit(int)
            with pytest.raises(QueueFullError):
                await pool.run(int)
            assert kept.cancel()

    with ThreadPool(1, max_queued=1, queue_timeout=0.01) as pool:
        asyncio.run(late(pool))
    with ThreadPool(1, max_queued=1, when_full="raise") as pool:
        asyncio.run(late(pool))


def test_it_is_an_executor_for_whoever_asks_for_one() -> None:
    async def main(pool: ThreadPool) -> int:
        return await asyncio.get_running_loop().run_in_executor(pool, pow, 2, 5)

    with ThreadPool(1) as pool:
        assert isinstance(pool, concurrent.futures.Executor)
        assert isinstance(pool.submit(int), concurrent.futures.Future)
        assert asyncio.run(main(pool)) == 32
