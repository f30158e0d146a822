"""Faults that were found by a review, each as it was shown, and what has to be instead."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.thread import BrokenThreadPool
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from typing import Any

import pytest
from interrupting import NOT_TRACED, Hitting
from threads_helping import PATIENCE, Runner, no_threads_left  # noqa: F401  # autouse

from coresys.errors.hierarchy import DeadlockError, LockOrderError, LockTimeoutError, TaskCycleError
from coresys.threads import (
    LockHierarchy,
    OrderedCondition,
    OrderedLock,
    OrderedRLock,
    ReadWriteLock,
    SampledLock,
    ThreadPool,
    acquire_all,
    conditions,
    futures,
    held_locks,
    stacks,
    thread_records,
    waits,
)
from coresys.threads import pool as pool_module
from coresys.threads import scheduler as scheduler_module
from coresys.threads.scheduler import AGEING, BATCH, here

ORDER = LockHierarchy("order", ["outer", "inner"])
FILES = {pool_module.__file__, scheduler_module.__file__, stacks.__file__, futures.__file__}
by_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.001)


@contextmanager
def a_pool(*args: Any, **more: Any) -> Iterator[ThreadPool]:
    """A pool that is shut down in the end; one that cannot be is left behind, so that the test fails and ends."""
    pool = ThreadPool(*args, **more)
    try:
        yield pool
    finally:
        ending = Runner(pool.shutdown)
        ending.join(PATIENCE)
        if ending.is_alive():
            scheduler = pool._scheduler
            pool_module._schedulers.discard(scheduler)
            scheduler.general = scheduler.reserved = 0
            for worker in list(scheduler.workers):
                worker.dismissed = worker.stirred = True
                if worker.gate.locked():
                    worker.gate.release()
            scheduler.workers.clear()
    assert not ending.is_alive(), "the pool does not end"


def occupied(pool: ThreadPool) -> Callable[[], None]:
    """Occupy a worker of the pool, and return what lets it go."""
    begun, leave = threading.Event(), threading.Event()

    def stay() -> None:
        begun.set()
        leave.wait(PATIENCE)

    pool.submit(stay)
    assert begun.wait(PATIENCE)
    return leave.set


@contextmanager
def on_signal(handler: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Yields what sends the main thread a signal, upon which it calls ``handler``."""
    before = signal.signal(signal.SIGUSR1, lambda number, frame: handler() and None)
    main = threading.main_thread().ident
    assert main == threading.get_ident()
    try:
        yield lambda: signal.pthread_kill(main, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


# -- several locks at once -------------------------------------------------------------------------------------------


def test_what_refuses_to_take_a_lock_twice_leaves_the_callers_own_lock_held() -> None:
    first, second = OrderedLock(name="first"), OrderedLock(name="second")
    with first:
        with pytest.raises(LockOrderError, match="not re-entrant"), acquire_all(first, second):
            pass
        assert first.owned()
        assert not second.locked()
        assert Runner(lambda: first.acquire(blocking=False)).finish() is False
    assert not first.locked()


def test_who_enters_several_locks_twice_is_refused_and_keeps_them() -> None:
    first, second = OrderedLock(name="first"), OrderedLock(name="second")
    both = acquire_all(first, second)
    with both:
        with pytest.raises((LockOrderError, RuntimeError)):
            both.__enter__()
        assert first.owned()
        assert second.owned()
    assert not first.locked()
    assert not second.locked()


def test_several_locks_that_are_refused_late_leave_a_reentrant_one_as_often_taken_as_before() -> None:
    first, second = OrderedRLock(name="first"), OrderedLock(name="second")
    taken, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with second:
            taken.set()
            leave.wait(PATIENCE)

    holder = Runner(hold)
    assert taken.wait(PATIENCE)
    with first:
        with pytest.raises(LockTimeoutError), acquire_all(first, second, timeout=0.001):
            pass
        assert first.owned()
        leave.set()
        holder.finish()
    assert not first.locked()


# -- workers that are hired and woken --------------------------------------------------------------------------------


def test_tasks_that_meet_get_a_worker_more_than_those_that_are_parked() -> None:
    with a_pool(3, reserved=0) as pool:
        two, three = threading.Barrier(2), threading.Barrier(3)
        for met in [pool.submit(two.wait, PATIENCE) for _ in range(2)]:
            met.result(PATIENCE)
        until(lambda: len(pool._scheduler.parked) == 2)
        meeting = [pool.submit(three.wait, PATIENCE) for _ in range(3)]
        assert sorted(each.result(PATIENCE + 5) for each in meeting) == [0, 1, 2]
        assert pool.statistics().workers == 3


@NOT_TRACED
@pytest.mark.skipif(sys.version_info < (3, 11), reason="no exception table to tell what a signal can hit")
@pytest.mark.parametrize("parked", [0, 1, 2])
def test_a_submit_that_is_interrupted_anywhere_leaves_a_pool_that_works_and_ends(parked: int) -> None:
    for at in count():  # 0: nowhere
        with a_pool(2, reserved=0) as pool:
            first, both = threading.Barrier(max(parked, 1)), threading.Barrier(2)
            for met in [pool.submit(first.wait, PATIENCE) for _ in range(parked)]:
                met.result(PATIENCE)
            until(lambda: len(pool._scheduler.parked) == parked)
            hitting = Hitting(FILES, at, same_handler=True)
            hitting.watching(lambda: pool.submit(int))
            where = hitting.where
            assert hitting.raised or not where, f"swallowed in {where}"
            later = [pool.submit(both.wait, PATIENCE) for _ in range(2)]
            left = wait(later, timeout=PATIENCE + 5).not_done
            assert not left, f"after {where}, {len(left)} of two tasks that meet are not done"
            scheduler = pool._scheduler
            named = [thread for thread in threading.enumerate() if thread.name.startswith(f"{pool.name}_")]
            assert (scheduler.general, len(scheduler.workers), len(named)) == (2, 2, 2), where
            assert pool.statistics().most_workers == 2, where
        if at and not where:
            break
    assert at > 10


@pytest.mark.parametrize("channel", [None, "c"])
def test_a_callback_that_exits_ends_no_worker(channel: str | None) -> None:
    with a_pool(1) as pool:
        leave = threading.Event()
        first = pool.submit_with(lambda: leave.wait(PATIENCE) and threading.get_ident(), channel=channel)
        called: list[object] = []

        def exits(of: Future[Any]) -> None:
            called.append(of)
            raise SystemExit(3)

        first.add_done_callback(exits)
        leave.set()
        worker = first.result(PATIENCE)
        assert pool.submit_with(threading.get_ident, channel=channel).result(PATIENCE) == worker
        assert called == [first]


# -- tasks that shut pools down --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_tasks_of_one_pool_that_shut_it_down_do_not_wait_for_one_another(tasks: int) -> None:
    with a_pool(tasks + 1, reserved=0) as pool:
        met = threading.Barrier(tasks)

        def end() -> str:
            met.wait(PATIENCE)
            pool.shutdown()
            return "done"

        futures = [pool.submit(end) for _ in range(tasks)]
        assert [each.result(PATIENCE) for each in futures] == ["done"] * tasks


def test_tasks_that_shut_their_pool_down_wait_for_those_that_work() -> None:
    with a_pool(3, reserved=0) as pool:
        met, leave, order = threading.Barrier(3), threading.Event(), []

        def work() -> None:
            met.wait(PATIENCE)
            leave.wait(PATIENCE)
            order.append("worked")

        def end() -> None:
            met.wait(PATIENCE)
            pool.shutdown()
            order.append("ended")

        pool.submit(work)
        ending = [pool.submit(end) for _ in range(2)]
        until(lambda: sum(worker.joins is not None for worker in pool._scheduler.workers) == 2)
        assert not wait(ending, timeout=3 * pool_module.LOOK).done
        leave.set()
        for each in ending:
            each.result(PATIENCE)
        assert order == ["worked", "ended", "ended"]


def test_tasks_that_shut_each_others_pools_down_do_not_wait_for_one_another() -> None:
    with a_pool(2, reserved=0) as first, a_pool(2, reserved=0) as second, a_pool(2, reserved=0) as third:
        met = threading.Barrier(3)

        def end(pool: ThreadPool) -> str:
            met.wait(PATIENCE)
            pool.shutdown()
            return "done"

        futures = [first.submit(end, second), second.submit(end, third), third.submit(end, first)]
        assert [each.result(PATIENCE) for each in futures] == ["done"] * 3


@pytest.mark.parametrize("first", ["ends", "waits"])
def test_a_task_that_shuts_its_pool_down_does_not_wait_for_one_that_waits_for_it(first: str) -> None:
    with a_pool(3, reserved=0) as pool:
        begun, ending = threading.Event(), threading.Event()
        waiting: list[Future[str]] = []

        def waits() -> str:
            begun.set()
            if first == "ends":
                until(lambda: any(worker.joins is not None for worker in pool._scheduler.workers))
            else:
                ending.set()
            return f"it {end.result()}"

        def ends() -> str:
            assert begun.wait(PATIENCE)
            if first == "waits":
                assert ending.wait(PATIENCE)
                until(lambda: any(worker.waits_for for worker in pool._scheduler.workers))
            pool.shutdown()
            return "ended"

        end = pool.submit(ends)
        waiting.append(pool.submit(waits))
        assert waiting[0].result(PATIENCE) == "it ended"


@pytest.mark.parametrize("ask", ["result", "exception"])
@pytest.mark.parametrize("first", ["ends", "waits"])
@pytest.mark.parametrize("between", [0, 2])
def test_a_task_that_shuts_a_pool_down_does_not_wait_for_one_of_it_that_waits_for_its_result(
    ask: str, first: str, between: int
) -> None:
    """Through any number of pools, each of which has a task that waits for the next one's."""
    with ExitStack() as pools:
        pool, *others, last = (pools.enter_context(a_pool(1)) for _ in range(2 + between))
        asking = threading.Event()

        def ends() -> str:
            assert asking.wait(PATIENCE)
            if first == "waits":
                until(lambda: any(worker.waits_for for worker in pool._scheduler.workers))
            pool.shutdown()
            return "ended"

        def asks(left: list[ThreadPool]) -> object:
            if not left:
                future: Future[Any] = last.submit(ends)
                asking.set()
                if first == "ends":
                    until(lambda: any(worker.joins is not None for worker in last._scheduler.workers))
            else:
                future = left[0].submit(partial(asks, left[1:]))
            return getattr(future, ask)()

        expected = "ended" if ask == "result" else None
        assert pool.submit(asks, others).result(PATIENCE) == expected


def test_a_worker_has_no_note_of_a_wait_for_another_pool_that_is_over() -> None:
    with a_pool(1) as pool, a_pool(1) as other:

        def fails() -> None:
            raise LookupError("gone")

        def asks() -> list[object]:
            with pytest.raises(LookupError):
                other.submit(fails).result()
            worker = here.worker
            assert worker is not None
            return list(worker.waits_for)

        assert pool.submit(asks).result(PATIENCE) == []


# -- locks and signal handlers ---------------------------------------------------------------------------------------


@by_signals
def test_a_handler_that_takes_another_lock_does_not_make_a_thread_forget_what_it_waits_for() -> None:
    wanted = OrderedLock(ORDER["inner"], name="wanted", timeout=PATIENCE)
    other, outer = OrderedLock(ORDER["outer"]), OrderedLock(ORDER["outer"])
    taken, handled = threading.Event(), threading.Event()

    def handler() -> None:
        with other:
            handled.set()

    with on_signal(handler) as send:

        def hold() -> bool:
            with wanted:
                taken.set()
                until(lambda: wanted.statistics().waiting)
                send()
                return handled.wait(PATIENCE)

        holder = Runner(hold)
        assert taken.wait(PATIENCE)
        with wanted:
            assert holder.finish()
            assert held_locks() == ("wanted",)
            with pytest.raises(LockOrderError, match="'outer' comes before 'inner'"), outer:
                pass


@by_signals
def test_a_handler_that_takes_another_lock_does_not_make_a_thread_forget_its_conditions_lock() -> None:
    condition = OrderedCondition(ORDER["inner"], name="condition")
    other, handled = OrderedLock(ORDER["outer"]), threading.Event()

    def handler() -> None:
        with other:
            handled.set()

    with on_signal(handler) as send:

        def tell() -> bool:
            until(lambda: condition._waiters and not condition.lock.locked())
            send()
            came = handled.wait(PATIENCE)
            with condition:
                condition.notify()
            return came

        with condition:
            teller = Runner(tell)
            assert condition.wait(PATIENCE)
            assert teller.finish()
            assert held_locks() == ("condition",)
            with pytest.raises(LockOrderError), other:
                pass


@by_signals
def test_a_deadlock_is_named_after_a_handler_had_to_wait_for_a_lock() -> None:
    a, b, handlers = (OrderedLock(name=name, timeout=PATIENCE) for name in ("a", "b", "handlers"))
    named: list[str] = []
    taken, handled = threading.Event(), threading.Event()

    def handler() -> None:
        with handlers:
            handled.set()

    with on_signal(handler) as send:

        def other() -> None:
            with b:
                with handlers:
                    taken.set()
                    until(lambda: b.statistics().waiting)
                    send()
                    until(lambda: handlers.statistics().waiting)
                assert handled.wait(PATIENCE)
                try:
                    with a:
                        pass
                except DeadlockError:
                    named.append("other")

        thread = Runner(other)
        assert taken.wait(PATIENCE)
        try:
            with a, b:
                pass
        except DeadlockError:
            named.append("main")
        thread.finish()
    assert len(named) == 1


def test_a_handler_that_comes_while_a_wait_is_noted_can_wait_itself() -> None:
    lock = OrderedLock()

    def handled() -> None:
        with waits.lock, pytest.raises(LockTimeoutError):
            lock.acquire(timeout=0.001)

    with lock:
        Runner(handled).finish()


# -- circles of tasks ------------------------------------------------------------------------------------------------


def test_who_waits_for_a_task_and_itself_is_told() -> None:
    with a_pool(3, reserved=0) as pool:
        own: list[Future[Any]] = []
        ready = threading.Event()

        def task() -> None:
            ready.wait(PATIENCE)
            wait([pool.submit(int), own[0]])

        own.append(pool.submit(task))
        ready.set()
        try:
            assert isinstance(own[0].exception(PATIENCE), TaskCycleError)
        finally:
            if not own[0].done():
                own[0].set_result(None)  # or it would wait for ever


def test_a_circle_that_a_timeout_opens_is_none() -> None:
    with a_pool(2, reserved=0) as pool:
        tasks: list[Future[Any]] = []
        ready, waiting = threading.Event(), threading.Event()

        def patient() -> object:
            assert waiting.wait(PATIENCE)
            time.sleep(0.02)  # so that the other waits
            return tasks[1].result()

        def hasty() -> str:
            ready.wait(PATIENCE)
            waiting.set()
            try:
                tasks[0].result(0.1)
            except FutureTimeoutError:
                return "late"
            return "in time"

        tasks += [pool.submit(patient), pool.submit(hasty)]
        ready.set()
        assert [task.result(PATIENCE) for task in tasks] == ["late", "late"]


def test_who_waits_for_itself_or_a_future_of_another_pool_waits_in_no_circle() -> None:
    with a_pool(2, reserved=0) as pool:
        own: list[Future[Any]] = []
        other: Future[None] = Future()
        ready = threading.Event()

        def task() -> bool:
            ready.wait(PATIENCE)
            return other in wait([own[0], other], return_when=FIRST_COMPLETED).done

        own.append(pool.submit(task))
        ready.set()
        until(lambda: other._waiters or own[0].done())
        time.sleep(0.02)
        other.set_result(None)
        assert own[0].result(PATIENCE) is True


# -- whose turn it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", range(AGEING))
def test_a_monitoring_task_comes_after_a_few_batches_of_two_channels_that_are_never_empty(before: int) -> None:
    most = 4 * AGEING * BATCH
    with a_pool(1) as pool:
        ran: list[str] = []

        def task(name: str) -> None:
            ran.append(name)
            if len(ran) < most:
                pool.submit_with(partial(task, name), channel=name)

        for _ in range(before):
            pool.submit(int).result(PATIENCE)
        leave = occupied(pool)
        for _ in range(2 * BATCH):
            for name in "ab":
                pool.submit_with(partial(task, name), channel=name)
        last = pool.submit_with(lambda: ran.append("monitoring"), priority="monitoring")
        leave()
        last.result(PATIENCE)
        assert ran.index("monitoring") <= AGEING * BATCH


@pytest.mark.parametrize("before", range(2))
def test_a_monitoring_task_comes_after_a_few_tasks_that_wait_for_others(before: int) -> None:
    with a_pool(1) as pool:
        ran: list[str] = []

        def task() -> None:
            ran.append("task")
            pool.submit(int).result()
            if len(ran) < 20 * AGEING:
                pool.submit(task)

        for _ in range(before):
            pool.submit(int).result(PATIENCE)
        leave = occupied(pool)
        for _ in range(4):
            pool.submit(task)
        last = pool.submit_with(lambda: ran.append("monitoring"), priority="monitoring")
        leave()
        last.result(PATIENCE)
        assert ran.index("monitoring") <= AGEING


def test_a_timed_wait_for_a_task_of_a_channel_is_late_by_one_task_at_most() -> None:
    with a_pool(1) as pool:
        ran: list[int] = []

        def one(number: int) -> None:
            ran.append(number)
            if number == 0:
                time.sleep(0.03)  # the others take no time

        def outer() -> int:
            tasks = [pool.submit_with(partial(one, number), channel="c") for number in range(50)]
            with pytest.raises(FutureTimeoutError):
                tasks[-1].result(0.01)
            return len(ran)

        assert pool.submit(outer).result(PATIENCE) <= 1
    assert ran == list(range(50))


def test_inner_tasks_that_are_done_do_not_stay_in_the_queue() -> None:
    with a_pool(1) as pool:

        def outer() -> int:
            longest = 0
            for _ in range(300):
                pool.submit(int).result()
                longest = max(longest, len(pool._scheduler.queues[1]))
            return longest

        assert pool.submit(outer).result(PATIENCE) <= 2


# -- hierarchies and conditions --------------------------------------------------------------------------------------


def test_equal_hierarchies_have_one_order() -> None:
    declared = LockHierarchy("".join(["ser", "vice"]), ["registry", "channel"])  # a name that is not interned
    copy = pickle.loads(pickle.dumps(declared))
    assert copy == declared
    inner, outer = OrderedLock(declared["channel"]), OrderedLock(copy["registry"])
    with inner, pytest.raises(LockOrderError), outer:
        pass


def test_a_waiter_that_is_told_when_its_timeout_has_just_passed_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    condition = OrderedCondition()

    def tell() -> None:
        with condition:
            condition.notify()

    class Late:
        """The raw lock of a waiter: its timeout passes, and before the waiter has its lock again somebody tells it."""

        def __init__(self) -> None:
            self.raw = threading.Lock()

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            if timeout < 0:
                return self.raw.acquire(blocking)
            Runner(tell).finish()
            return False

        def release(self) -> None:
            self.raw.release()

    monkeypatch.setattr(conditions, "allocate_lock", Late)
    with condition:
        assert condition.wait(0.01) is True


@pytest.mark.parametrize("timeout", [float("inf"), 1e10])
def test_one_can_wait_for_a_condition_for_ever_in_seconds(timeout: float) -> None:
    condition = OrderedCondition()
    ready: list[int] = []

    def tell() -> None:
        until(lambda: condition._waiters)
        with condition:
            ready.append(1)
            condition.notify()

    def wait_for() -> list[int]:
        with condition:
            teller.append(Runner(tell))
            return condition.wait_for(lambda: ready, timeout)

    teller: list[Runner] = []
    assert Runner(wait_for).finish() == [1]
    teller[0].finish()


# -- what is kept, and figures ---------------------------------------------------------------------------------------


class Thing:
    pass


def fail(seen: list[weakref.ref[Thing]]) -> None:
    thing = Thing()
    seen.append(weakref.ref(thing))
    raise ValueError


def waited_for(pool: ThreadPool, channel: str | None, seen: list[weakref.ref[Thing]]) -> None:
    wait([pool.submit_with(partial(fail, seen), channel=channel)], timeout=PATIENCE)


def asked_in_a_task(pool: ThreadPool, channel: str | None, seen: list[weakref.ref[Thing]]) -> None:
    def outer() -> None:
        pool.submit_with(partial(fail, seen), channel=channel).exception()

    pool.submit(outer).result(PATIENCE)


@pytest.mark.parametrize("how", [waited_for, asked_in_a_task])
@pytest.mark.parametrize("channel", [None, "c"])
def test_a_task_that_failed_is_in_no_circle_of_references(
    how: Callable[[ThreadPool, str | None, list[weakref.ref[Thing]]], None], channel: str | None
) -> None:
    seen: list[weakref.ref[Thing]] = []
    collects = gc.isenabled()
    gc.disable()
    try:
        with a_pool(1) as pool:
            how(pool, channel, seen)
            for _ in range(2):  # a worker keeps its last task until it has the next
                pool.submit(int).result(PATIENCE)
        assert [kept() for kept in seen] == [None]
    finally:
        if collects:
            gc.enable()


@needs_fork
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="figures of Linux")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_in_a_forked_child_the_figures_of_the_main_thread_are_its_own() -> None:
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = b"raised"
        try:
            mine = [record for record in thread_records() if record.ident == threading.get_ident()]
            others = [record for record in thread_records() if record.ident is None]
            own = [record.native_id == os.getpid() and record.voluntary_switches is not None for record in mine]
            said = repr((own, len(others))).encode()
        finally:
            os.write(send, said)
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as told:
        assert told.read() == b"([True], 0)"
    os.waitpid(pid, 0)


def test_tasks_of_a_pool_that_is_broken_are_counted() -> None:
    leave = threading.Event()

    def begin() -> None:
        leave.wait(PATIENCE)
        raise ValueError

    with a_pool(1, initializer=begin) as pool:
        tasks = [pool.submit(int) for _ in range(3)]
        tasks.append(pool.submit_with(int, channel="c"))
        leave.set()
        assert [type(task.exception(PATIENCE)) for task in tasks] == [BrokenThreadPool] * 4
        figures = pool.statistics()
        assert figures.queued == (0, 0, 0)
        assert (figures.submitted, figures.completed, figures.failed) == (4, 4, 4)


# -- timeouts that are no number ---------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


def test_a_timeout_of_nan_is_refused_where_it_is_given_and_takes_nothing() -> None:
    lock, other, shared, condition = OrderedLock(), OrderedLock(), ReadWriteLock(), OrderedCondition()
    for way in (
        lambda: lock.within(NAN),
        lambda: lock.acquire(timeout=NAN),
        lambda: condition.acquire(timeout=NAN),
        lambda: shared.reading(NAN),
        lambda: shared.writing(NAN),
        lambda: acquire_all(lock, other, timeout=NAN),
        lambda: OrderedLock(timeout=NAN),
        lambda: OrderedCondition(timeout=NAN),
        lambda: ReadWriteLock(timeout=NAN),
        lambda: SampledLock(timeout=NAN),
        lambda: ThreadPool(1, max_queued=1, queue_timeout=NAN),
    ):
        with pytest.raises(ValueError, match="nan is no number of seconds"):
            way()
    with condition:
        for waiting in (condition.wait, partial(condition.wait_for, lambda: pytest.fail("it was asked"))):
            with pytest.raises(ValueError, match="nan is no number of seconds"):
                waiting(timeout=NAN)
    assert held_locks() == ()
    assert not lock.locked()


def _within(lock: OrderedLock) -> None:
    with lock.within(INF):
        pass


def _acquire(lock: OrderedLock) -> None:
    lock.acquire(timeout=INF)
    lock.release()


def _all(lock: OrderedLock) -> None:
    with acquire_all(lock, timeout=INF):
        pass


@pytest.mark.parametrize("way", [_within, _acquire, _all])
def test_an_infinite_timeout_is_none_so_that_a_circle_is_told(way: Callable[[OrderedLock], None]) -> None:
    first, second = OrderedLock(name="first"), OrderedLock(name="second", timeout=0.001)
    met = threading.Barrier(2)
    told: list[str] = []

    def take(mine: OrderedLock, other: OrderedLock) -> None:
        with mine:
            met.wait(PATIENCE)
            try:
                way(other)
            except DeadlockError:
                told.append(mine.name)

    runners = [Runner(lambda: take(first, second)), Runner(lambda: take(second, first))]
    for runner in runners:
        runner.finish()
    assert len(told) == 1


def test_a_condition_may_be_waited_for_without_end() -> None:
    condition = OrderedCondition(timeout=INF)
    ready: list[int] = []

    def wait_for() -> bool:
        with condition:
            return condition.wait(INF) and condition.wait_for(lambda: len(ready) > 1, INF)

    waiter = Runner(wait_for)
    for _ in range(2):
        until(lambda: condition._waiters)
        with condition:
            ready.append(1)
            condition.notify()
    assert waiter.finish() is True


@pytest.mark.parametrize("seconds", [INF, 1e300, None])
def test_room_in_a_queue_may_be_waited_for_without_end(seconds: float | None) -> None:
    with a_pool(1, max_queued=1, queue_timeout=seconds) as pool:
        leave = occupied(pool)
        pool.submit(int)
        last = Runner(lambda: pool.submit(int).result(PATIENCE))
        until(lambda: pool._scheduler.room)
        leave()
        assert last.finish() == 0


def test_a_task_that_waits_for_another_for_nan_seconds_is_refused_and_does_not_spin() -> None:
    with a_pool(2, reserved=0) as pool:
        leave, begun = threading.Event(), threading.Event()

        def stay() -> bool:
            begun.set()
            return leave.wait(PATIENCE)

        staying = pool.submit(stay)
        assert begun.wait(PATIENCE)
        waiting = pool.submit(lambda: staying.result(NAN))
        with pytest.raises(ValueError, match="nan is no number of seconds"):
            waiting.result(PATIENCE)
        assert wait([staying], timeout=0).not_done
        endless = pool.submit(lambda: staying.result(INF))
        leave.set()
        assert endless.result(PATIENCE) is True
