"""asyncio's locks, watched: the order in which tasks take them, and event loops that can never go on."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import inspect
import os
import pickle
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coresys.errors.hierarchy import DeadlockError, TaskDeadlockError
from coresys.threads.watching import aio_loops, aio_parties, aio_stuck, chains, deadlocks
from coresys.threads.watching.deadlocks import Broken
from coresys.threads.watching.graph import Cycle, Node, cycles
from coresys.threads.watching.install import install, uninstall
from coresys.threads.watching.places import edges_of
from coresys.threads.watching.words import part_of, sites_of

pytestmark = pytest.mark.timeout(120)
new: Any = asyncio  # with what the oldest Python has not
Main = Callable[[], Coroutine[Any, Any, Any]]


_seen = deadlocks.count()


def taken() -> list[Broken]:
    """The deadlocks that were broken since this was asked last."""
    global _seen
    found, _seen = deadlocks.since(_seen), deadlocks.count()
    return found


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Watch, and be quick to tell. Threads that other tests of this process have left are nothing to these loops."""
    monkeypatch.setattr(aio_stuck, "QUIET", 0.05)
    monkeypatch.setattr(aio_loops, "SLICE", 0.02)
    older = set(threading.enumerate())
    there = aio_stuck._other_threads
    monkeypatch.setattr(aio_stuck, "_other_threads", lambda: bool(set(threading.enumerate()) - older) and there())
    install()
    chains.renew()
    taken()
    yield
    uninstall()
    chains.renew()
    taken()
    told = list(aio_parties.problems)
    aio_parties.problems.clear()
    assert told == []


def seen() -> tuple[dict[int, Node], list[Cycle]]:
    """The nodes, and the circles, of what was taken since the test began."""
    nodes, edges = edges_of(chains.renew())
    return nodes, cycles(edges)


def found() -> list[Cycle]:
    return seen()[1]


def run(main: Main) -> Any:
    return asyncio.run(main())


async def take(*locks: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for lock in locks:
            await stack.enter_async_context(lock)
            await asyncio.sleep(0)


async def named(name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
    await asyncio.create_task(coroutine, name=name)


# Order


class Account:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()


async def transfer(one: Account, other: Account) -> None:
    async with one.lock:  # noqa: SIM117  # in two lines, to tell them apart
        async with other.lock:
            await asyncio.sleep(0)


LINE = inspect.getsourcelines(transfer)[1]


def test_two_tasks_in_both_orders_are_a_circle_though_they_did_not_meet() -> None:
    async def main() -> None:
        one, other = Account(), Account()
        await named("there", transfer(one, other))
        await named("back", transfer(other, one))

    run(main)
    nodes, (cycle,) = seen()
    part = part_of(cycle, nodes)
    name = "Account.lock" if sys.version_info >= (3, 11) else "lock"
    assert part.details == (
        f"task there held {name} #1 and took {name} #2",
        f"task back held {name} #2 and took {name} #1",
        "tasks that do this at once wait for each other for ever; here they did not meet",
    )
    places = [(place.line, place.function, os.path.basename(place.path)) for place in part.where]
    assert places == [(LINE + line, "transfer", "test_watching_aio.py") for line in (1, 2, 1, 2)]
    made = inspect.getsourcelines(Account.__init__)[1] + 1
    assert sites_of(cycle, nodes) == (f"{__file__}:{made}",)


def lock() -> Any:
    return asyncio.Lock()


def semaphore() -> Any:
    return asyncio.Semaphore(1)


def bounded() -> Any:
    return asyncio.BoundedSemaphore()


def condition() -> Any:
    return asyncio.Condition()


@pytest.mark.parametrize("make", [lock, semaphore, bounded, condition])
def test_both_orders_are_a_circle_whatever_is_taken(make: Callable[[], Any]) -> None:
    async def main() -> None:
        one, other = make(), make()
        await named("one", take(one, other))
        await named("other", take(other, one))

    run(main)
    assert len(found()) == 1


def test_one_order_by_many_tasks_is_noted_once() -> None:
    async def main() -> None:
        one, other = asyncio.Lock(), asyncio.Lock()
        await asyncio.gather(*(take(one, other) for _ in range(50)))

    run(main)
    book = chains.renew()
    assert len(book.seen) == 1


def test_a_gate_excuses() -> None:
    async def main() -> None:
        gate, one, other = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
        await asyncio.gather(take(gate, one, other), take(gate, other, one))

    run(main)
    assert found() == []


@pytest.mark.parametrize(("permits", "circles"), [(2, 0), (3, 1), (20, 1)])
def test_fewer_permits_than_a_circle_has_edges_excuse_it(permits: int, circles: int) -> None:
    async def main() -> None:
        seats, forks = asyncio.Semaphore(permits), [asyncio.Lock() for _ in range(3)]
        for at in range(3):
            await take(seats, forks[at], forks[(at + 1) % 3])
        assert not aio_parties.states[id(seats)].holders

    run(main)
    assert len(found()) == circles


def test_hand_over_hand_is_no_circle() -> None:
    async def walk(links: list[asyncio.Lock]) -> None:
        await links[0].acquire()
        for before, after in zip(links, links[1:], strict=False):
            await after.acquire()
            before.release()
        links[-1].release()

    async def main() -> None:
        links = [asyncio.Lock() for _ in range(20)]
        await asyncio.gather(*(walk(links) for _ in range(10)))

    run(main)
    assert found() == []
    assert not any(party.held for party in aio_parties.parties.values())


def test_a_semaphore_that_lets_several_in_makes_no_order() -> None:
    async def main() -> None:
        one, other = asyncio.Semaphore(2), asyncio.Semaphore(3)
        await take(one, other)
        await take(other, one)

    run(main)
    assert found() == []


def test_what_is_taken_with_a_timeout_makes_no_order() -> None:
    async def main() -> None:
        one, other = asyncio.Lock(), asyncio.Lock()
        await take(one, other)
        async with other:
            await asyncio.wait_for(one.acquire(), 60)
            one.release()

    run(main)
    assert found() == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is new in 3.11")
def test_what_is_taken_within_a_timeout_makes_no_order() -> None:
    async def main() -> None:
        one, other = asyncio.Lock(), asyncio.Lock()
        await take(one, other)
        async with other, new.timeout(60), one:
            pass

    run(main)
    assert found() == []


def test_what_was_taken_with_a_timeout_is_held_all_the_same() -> None:
    async def main() -> None:
        one, other = asyncio.Lock(), asyncio.Lock()
        await take(other, one)
        await asyncio.wait_for(one.acquire(), 60)
        async with other:
            pass
        one.release()

    run(main)
    assert len(found()) == 1


def test_a_lock_that_another_task_lets_go_is_a_signal() -> None:
    async def main() -> None:
        signal, one = asyncio.Lock(), asyncio.Lock()
        await signal.acquire()

        async def release() -> None:
            signal.release()

        await asyncio.gather(release())
        async with one:
            pass
        await take(one, signal)
        await take(signal, one)

    run(main)
    assert found() == []


def test_waiting_for_a_condition_lets_its_lock_go_and_takes_it_again() -> None:
    async def main() -> None:
        one, other = asyncio.Condition(), asyncio.Lock()

        async def notify() -> None:
            async with one:
                one.notify()

        async def wait(held: Any) -> None:
            async with one, held:
                task = asyncio.create_task(notify())
                await one.wait()
                await task

        await wait(_Nothing())
        assert found() == []
        await wait(other)

    run(main)
    (cycle,) = found()
    assert len(cycle) == 2


class _Nothing:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *given: object) -> None: ...


# Tokens


async def use(wanted: asyncio.Lock, goes_on: asyncio.Event) -> None:
    async with wanted:
        await asyncio.sleep(0)
    await goes_on.wait()


async def some_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def _by_gather(task: Any) -> None:
    await asyncio.gather(task)


async def _by_wait(task: Any) -> None:
    await asyncio.wait([task])


async def _by_shield(task: Any) -> None:
    await asyncio.shield(task)


async def _itself(task: Any) -> None:
    await task


@pytest.mark.parametrize("wait", [_itself, _by_gather, _by_wait, _by_shield])
def test_to_await_a_task_while_holding_the_lock_that_it_took_is_a_circle(wait: Any) -> None:
    async def main() -> None:
        shared = asyncio.Lock()
        goes_on = asyncio.Event()
        task = asyncio.create_task(use(shared, goes_on), name="user")
        await some_turns()
        async with shared:
            asyncio.get_running_loop().call_soon(goes_on.set)
            await wait(task)

    run(main)
    nodes, (cycle,) = seen()
    details = part_of(cycle, nodes).details
    assert [line for line in details if "user took" in line] == ["task user took shared before it ended"]
    assert any(line.endswith("held shared and waited for the end of task user") for line in details)


def test_a_task_that_is_awaited_with_a_timeout_makes_no_circle() -> None:
    async def main() -> None:
        shared = asyncio.Lock()
        goes_on = asyncio.Event()
        task = asyncio.create_task(use(shared, goes_on))
        await some_turns()
        async with shared:
            asyncio.get_running_loop().call_soon(goes_on.set)
            await asyncio.wait_for(task, 60)

    run(main)
    assert found() == []


def test_a_task_that_has_told_that_it_is_done_with_the_lock_makes_no_circle() -> None:
    async def main() -> None:
        shared, ready, goes_on = asyncio.Lock(), asyncio.Event(), asyncio.Event()

        async def prepare() -> None:
            async with shared:
                await asyncio.sleep(0)
            ready.set()
            await goes_on.wait()

        task = asyncio.create_task(prepare())
        await ready.wait()
        async with shared:
            asyncio.get_running_loop().call_soon(goes_on.set)
            await task

    run(main)
    assert found() == []


def test_three_in_a_circle_through_the_end_of_a_task() -> None:
    async def main() -> None:
        one, other = asyncio.Lock(), asyncio.Lock()

        async def child() -> None:
            await some_turns()
            await take(other)

        async def parent() -> None:
            async with one:
                await asyncio.create_task(child(), name="child")

        await named("parent", parent())
        await named("third", take(other, one))

    run(main)
    (cycle,) = found()
    assert {edge.thread for edge in cycle} == {"task parent", "task child", "task third"}


# Loops that can never go on


async def slowly(first: Any, second: Any) -> None:
    async with first:
        await asyncio.sleep(0.002)
        async with second:
            pass


async def both_ways() -> None:
    one = asyncio.Lock()
    other = asyncio.Lock()
    await asyncio.gather(named("there", slowly(one, other)), named("back", slowly(other, one)))


def test_two_tasks_that_wait_for_each_other_end_with_a_report() -> None:
    with pytest.raises(TaskDeadlockError) as told:
        run(both_ways)
    error = told.value
    assert isinstance(error, DeadlockError)
    assert error.quiet
    assert [waiter for waiter, _, _ in error.cycle[:2]] == ["task back", "task there"]
    assert error.cycle[0] == ("task back", "one", "task there")
    assert all(place.startswith(f"{__file__}:") and place.endswith("in slowly") for place in error.sites[0])
    assert "task there waits at" in str(error)
    assert "taken by task back at" in str(error)
    (broken,) = taken()
    assert broken.thread == "task back"
    assert broken.threads[1].held == ("one",)
    assert taken() == []
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_circle_is_told_though_the_loop_goes_on() -> None:
    async def main() -> None:
        async def beat() -> None:
            while True:
                await asyncio.sleep(0.01)

        heart = asyncio.create_task(beat())
        try:
            await both_ways()
        finally:
            heart.cancel()

    with pytest.raises(TaskDeadlockError, match="wait for each other") as told:
        run(main)
    assert not told.value.quiet
    assert len(told.value.cycle) == 2


def test_who_waits_for_a_task_that_waits_for_its_lock() -> None:
    async def main() -> None:
        shared = asyncio.Lock()
        async with shared:
            await asyncio.create_task(take(shared), name="child")

    with pytest.raises(TaskDeadlockError) as told:
        run(main)
    assert told.value.cycle[0][0] == "task child"
    assert told.value.cycle[1][1] == "the end of task child"


@pytest.mark.parametrize(
    ("wait", "wanted"),
    [
        (lambda: asyncio.Event().wait(), "an Event"),
        (lambda: asyncio.Queue().get(), "an item in a Queue"),
        (lambda: asyncio.get_running_loop().create_future(), "a future that nobody sets"),
    ],
)
def test_a_wait_that_nobody_will_end(wait: Callable[[], Any], wanted: str) -> None:
    async def main() -> None:
        await wait()

    with pytest.raises(TaskDeadlockError, match="nothing can wake the event loop") as told:
        run(main)
    assert told.value.lock == wanted


def test_a_queue_that_nobody_works_on() -> None:
    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        await queue.put(1)
        for wait in (queue.join, lambda: queue.put(2)):
            with pytest.raises(TaskDeadlockError, match=r"room in a Queue|a Queue to be done"):
                await wait()

    run(main)
    assert len(taken()) == 2


def test_a_condition_that_nobody_notifies() -> None:
    async def main() -> None:
        one = asyncio.Condition()
        async with one:
            await one.wait()

    with pytest.raises(TaskDeadlockError, match="a Condition to be notified"):
        run(main)


def test_a_task_that_takes_its_own_lock_again() -> None:
    async def main() -> None:
        one = asyncio.Lock()
        async with one, one:
            pass

    with pytest.raises(TaskDeadlockError, match=r"taken by Task-\d+ \(test_a_task.*main\)"):
        run(main)


def test_tasks_that_await_each_other() -> None:
    async def main() -> None:
        tasks: list[Any] = []

        async def other(number: int) -> None:
            with contextlib.suppress(TaskDeadlockError):
                await tasks[1 - number]

        tasks += [asyncio.create_task(other(0)), asyncio.create_task(other(1))]
        await asyncio.sleep(0)
        await tasks[0]
        assert tasks[1].done()

    run(main)
    assert len(taken()) == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup is new in 3.11")
def test_a_group_of_tasks_ends_by_the_one_that_is_told() -> None:
    ended: list[str] = []

    async def member(name: str, first: Any, second: Any) -> None:
        try:
            await slowly(first, second)
        except TaskDeadlockError:
            ended.append(f"{name} told")
            raise
        ended.append(f"{name} went on")

    async def main() -> None:
        one, other = asyncio.Lock(), asyncio.Lock()
        async with new.TaskGroup() as group:
            group.create_task(member("one", one, other))
            group.create_task(member("other", other, one))

    with pytest.raises(BaseException) as told:  # noqa: PT011  # an ExceptionGroup, which 3.10 has not
        run(main)
    assert [type(error) for error in told.value.exceptions] == [TaskDeadlockError]  # type: ignore[attr-defined]
    assert ended == ["other told", "one went on"]


def test_who_goes_on_after_a_report_is_told_again_and_then_who_waits_for_him() -> None:
    async def stubborn() -> None:
        while True:
            with contextlib.suppress(TaskDeadlockError):
                await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(stubborn(), name="stubborn")
        try:
            await task
        finally:
            task.cancel()

    with pytest.raises(TaskDeadlockError):
        run(main)
    assert [broken.thread.partition(" (")[0] for broken in taken()][:2] == ["task stubborn"] * 2


def test_a_loop_works_on_after_a_deadlock() -> None:
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(TaskDeadlockError):
            loop.run_until_complete(both_ways())
        assert loop.run_until_complete(asyncio.sleep(0.001, "goes on")) == "goes on"
    finally:
        loop.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_the_eager_start_of_tasks_is_seen_too() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(new.eager_task_factory)
        one, other = Account(), Account()
        await named("there", transfer(one, other))
        await named("back", transfer(other, one))
        assert len(found()) == 1
        await both_ways()

    with pytest.raises(TaskDeadlockError):
        run(main)


def test_in_debug_mode_as_without() -> None:
    with pytest.raises(TaskDeadlockError):
        asyncio.run(both_ways(), debug=True)


# Innocents


async def _gathered() -> None:
    one = asyncio.Lock()
    await asyncio.gather(*(slowly(one, _Nothing()) for _ in range(5)))


async def _workers() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(2)
    done: list[int] = []

    async def work() -> None:
        while True:
            done.append(await queue.get())
            await asyncio.sleep(0)
            queue.task_done()

    tasks = [asyncio.create_task(work()) for _ in range(8)]
    for number in range(40):
        await queue.put(number)
    await queue.join()
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(done) == list(range(40))
    assert {type(each) for each in ended} == {asyncio.CancelledError}


async def _conditions() -> None:
    ready, turns = asyncio.Condition(), list[int]()

    async def player(me: int) -> None:
        for _ in range(5):
            async with ready:
                await ready.wait_for(lambda: len(turns) % 3 == me)
                turns.append(me)
                ready.notify_all()

    await asyncio.gather(*(player(me) for me in range(3)))
    assert turns == [0, 1, 2] * 5


async def _semaphores() -> None:
    places, inside, most = asyncio.Semaphore(3), 0, 0

    async def guest() -> None:
        nonlocal inside, most
        async with places:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(guest() for _ in range(12)))
    assert most == 3


async def _timeouts() -> None:
    held = asyncio.Lock()
    async with held:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(held.acquire(), 0.15)
    one, other = asyncio.Lock(), asyncio.Lock()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.gather(slowly(one, other), slowly(other, one)), 0.2)


async def _cancelled_by_a_sleeper() -> None:
    one, other = asyncio.Lock(), asyncio.Lock()
    tasks = [asyncio.create_task(slowly(*pair)) for pair in ((one, other), (other, one))]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in ended} == {asyncio.CancelledError}


async def _shielded() -> None:
    one = asyncio.Lock()
    inner = asyncio.create_task(slowly(one, _Nothing()))
    outer = asyncio.ensure_future(asyncio.shield(inner))
    await asyncio.sleep(0)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    await inner


async def _set_later() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.15, event.set)
    await event.wait()


async def _set_by_a_thread() -> None:
    event, loop = asyncio.Event(), asyncio.get_running_loop()

    def later() -> None:
        threading.Event().wait(0.2)
        loop.call_soon_threadsafe(event.set)

    thread = threading.Thread(target=later)
    thread.start()
    await event.wait()
    thread.join()


async def _set_by_a_pool() -> None:
    with ThreadPoolExecutor(2) as pool:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(pool, threading.Event().wait, 0.2) is False
        event = asyncio.Event()
        pool.submit(lambda: (threading.Event().wait(0.2), loop.call_soon_threadsafe(event.set)))
        await event.wait()


async def _set_by_a_signal_of_the_loop() -> None:
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGALRM, event.set)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        await event.wait()
    finally:
        loop.remove_signal_handler(signal.SIGALRM)


async def _set_by_a_handler_of_a_signal() -> None:
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    before = signal.signal(signal.SIGALRM, lambda *_: loop.call_soon_threadsafe(event.set))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        await event.wait()
    finally:
        signal.signal(signal.SIGALRM, before)


async def _ended_process() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(0.2)")
    assert await process.wait() == 0


async def _read_from_a_pipe() -> None:
    read, write = os.pipe()
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(read, event.set)
    writes = f"import os, time; time.sleep(0.2); os.write({write}, b'.')"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", writes, pass_fds=[write])
    await event.wait()
    loop.remove_reader(read)
    await child.wait()
    os.close(read)
    os.close(write)


async def _signal_between_tasks() -> None:
    gate = asyncio.Lock()
    await gate.acquire()

    async def opens() -> None:
        await asyncio.sleep(0.15)
        gate.release()

    task = asyncio.create_task(opens())
    await gate.acquire()
    gate.release()
    await task


async def _many_of_one_lock() -> None:
    one = asyncio.Lock()
    await asyncio.gather(*(take(one) for _ in range(200)))


async def _for_a_while(task: Any) -> None:
    """A loop that goes on for many times the patience, and then cancels."""
    for _ in range(20):
        await asyncio.sleep(0.02)
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _ends_in_an_hour() -> None:
    await _for_a_while(asyncio.create_task(asyncio.wait_for(both_ways(), 3600)))


async def _is_cancelled_in_an_hour() -> None:
    task = asyncio.create_task(both_ways())
    timer = asyncio.get_running_loop().call_later(3600, task.cancel)
    await _for_a_while(task)
    timer.cancel()


async def _members_are_waited_for_with_a_timeout() -> None:
    one, other = asyncio.Lock(), asyncio.Lock()
    tasks = [asyncio.create_task(slowly(*pair)) for pair in ((one, other), (other, one))]
    await _for_a_while(asyncio.create_task(asyncio.wait(tasks, timeout=3600)))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


INNOCENTS = [
    _ends_in_an_hour,
    _is_cancelled_in_an_hour,
    _members_are_waited_for_with_a_timeout,
    _gathered,
    _workers,
    _conditions,
    _semaphores,
    _timeouts,
    _cancelled_by_a_sleeper,
    _shielded,
    _set_later,
    _set_by_a_thread,
    _set_by_a_pool,
    _set_by_a_signal_of_the_loop,
    _set_by_a_handler_of_a_signal,
    _ended_process,
    _read_from_a_pipe,
    _signal_between_tasks,
    _many_of_one_lock,
]


@pytest.mark.parametrize("main", INNOCENTS)
def test_an_innocent_program_sees_nothing_of_it(main: Main) -> None:
    run(main)
    assert taken() == []
    assert found() == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup is new in 3.11")
def test_an_innocent_group_sees_nothing_of_it() -> None:
    async def main() -> None:
        one = asyncio.Lock()
        async with new.timeout(5), new.TaskGroup() as group:
            for _ in range(5):
                group.create_task(slowly(one, _Nothing()))

    run(main)
    assert taken() == []
    assert found() == []


# Nothing is changed


def test_what_is_wrapped_looks_as_before_and_is_put_back() -> None:
    uninstall()
    names = [
        (asyncio.Lock, "__init__"),
        (asyncio.Lock, "acquire"),
        (asyncio.Lock, "release"),
        (asyncio.Semaphore, "__init__"),
        (asyncio.Semaphore, "acquire"),
        (asyncio.Semaphore, "release"),
        (asyncio.Event, "set"),
        (asyncio.Condition, "notify"),
        (asyncio.Queue, "put_nowait"),
        (asyncio.Queue, "task_done"),
        (asyncio.BaseEventLoop, "run_forever"),
    ]
    before = [vars(cls)[name] for cls, name in names]
    described = [(each.__qualname__, each.__doc__, inspect.signature(each)) for each in before]
    coroutines = [inspect.iscoroutinefunction(each) for each in before]
    install()
    now = [vars(cls)[name] for cls, name in names]
    assert all(new is not old for new, old in zip(now, before, strict=True))
    assert [(each.__qualname__, each.__doc__, inspect.signature(each)) for each in now] == described
    assert [inspect.iscoroutinefunction(each) for each in now] == coroutines
    uninstall()
    assert [vars(cls)[name] for cls, name in names] == before
    install()


def test_a_lock_and_a_task_have_nothing_of_ours_and_die_as_before() -> None:
    async def main() -> tuple[Any, Any]:
        one = asyncio.Lock()
        task = asyncio.create_task(take(one))
        await task
        assert set(vars(one)) <= {"_waiters", "_locked", "_loop"}
        assert isinstance(copy.deepcopy(asyncio.Lock()), asyncio.Lock)
        assert isinstance(pickle.loads(pickle.dumps(asyncio.Lock())), asyncio.Lock)
        return weakref.ref(one), weakref.ref(task)

    gc.collect()
    states, parties = len(aio_parties.states), len(aio_parties.parties)
    one, task = run(main)
    gc.collect()
    assert one() is None
    assert task() is None
    assert (len(aio_parties.states), len(aio_parties.parties)) == (states, parties)


def test_a_loop_dies_as_before_and_its_selector_is_as_it_was() -> None:
    loop = asyncio.new_event_loop()
    selector: Any = loop._selector  # type: ignore[attr-defined]
    loop.run_until_complete(take(asyncio.Lock()))
    assert "select" not in vars(selector)
    loop.close()
    gone = weakref.ref(loop)
    del loop, selector
    gc.collect()
    assert gone() is None
    assert all(watch.loop() is not None for watch in aio_parties.watches.values())


def test_a_coroutine_that_is_not_awaited_is_told_by_its_own_name() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.Lock().acquire()  # type: ignore[unused-coroutine]
        gc.collect()
    assert [str(each.message) for each in told] == ["coroutine 'Lock.acquire' was never awaited"]


def test_a_lock_is_taken_without_a_loop_as_before() -> None:
    one = asyncio.Lock()
    with pytest.raises(StopIteration) as ended:
        one.acquire().send(None)
    assert ended.value.value is True
    one.release()
    with pytest.raises(RuntimeError, match="not acquired"):
        one.release()


def test_locks_are_given_in_the_order_of_asking() -> None:
    order: list[int] = []

    async def one_of(number: int, shared: asyncio.Lock) -> None:
        async with shared:
            order.append(number)
            await asyncio.sleep(0)

    async def main() -> None:
        shared = asyncio.Lock()
        await asyncio.gather(*(one_of(number, shared) for number in range(20)))

    run(main)
    assert order == list(range(20))


def test_there_are_no_more_tasks_and_callbacks_than_without() -> None:
    async def main() -> tuple[int, int, int]:
        one = asyncio.Lock()
        await one.acquire()
        task = asyncio.create_task(take(one))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop: Any = asyncio.get_running_loop()
        counts = len(asyncio.all_tasks()), len(task._callbacks or ()), len(loop._scheduled)
        one.release()
        await task
        return counts

    assert run(main) == (2, 0, 0)


def test_what_goes_wrong_in_the_watch_is_kept_from_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(aio_parties.TaskParty, "take", broken)
    monkeypatch.setattr(aio_stuck, "closed", broken)
    one = asyncio.Lock()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, asyncio.wait_for(_many(one), 60)).result() == 5
    assert set(aio_parties.problems) == {"ZeroDivisionError: ours"}
    aio_parties.problems.clear()


async def _many(one: Any) -> int:
    await asyncio.gather(*(slowly(one, _Nothing()) for _ in range(5)))
    return 5


def test_nothing_grows_while_nothing_is_noted() -> None:
    async def main() -> None:
        one, other = asyncio.Lock(), asyncio.Lock()
        await take(one, other)
        await take(other, one)

    with chains.unnoted():
        run(main)
        assert not chains.current.seen
    run(main)
    assert len(found()) == 1


def test_what_a_task_holds_over_two_tests_is_held_in_both() -> None:
    loop = asyncio.new_event_loop()
    one, other = asyncio.Lock(), asyncio.Lock()
    go = asyncio.Event()

    async def holds() -> None:
        async with one:
            await go.wait()
            async with other:
                pass

    async def begin() -> Any:
        task = loop.create_task(holds())
        await asyncio.sleep(0.001)
        return task

    async def end(task: Any) -> None:
        go.set()
        await task
        await take(other, one)

    try:
        task = loop.run_until_complete(begin())
        chains.renew()
        loop.run_until_complete(end(task))
    finally:
        loop.close()
    assert len(found()) == 1


def test_loops_in_threads_while_leaves_are_renewed() -> None:
    async def main() -> int:
        one, other = asyncio.Lock(), asyncio.Lock()

        async def work() -> None:
            for _ in range(30):
                await take(one, other)

        await asyncio.gather(*(work() for _ in range(4)))
        return 1

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(run, main) for _ in range(4)]
        circles = 0
        while not all(each.done() for each in running):
            circles += len(found())
        assert [each.result() for each in running] == [1] * 4
    assert circles + len(found()) == 0
    assert not any(party.held for party in aio_parties.parties.values())


# Who could wake a loop


def test_a_thread_that_ends_while_it_is_looked_for_has_woken_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    event = asyncio.Event()
    woken: list[asyncio.AbstractEventLoop] = []

    def ends() -> bool:
        loop = woken.pop()
        loop.call_soon_threadsafe(event.set)
        return False

    async def main() -> None:
        woken.append(asyncio.get_running_loop())
        await event.wait()

    monkeypatch.setattr(aio_stuck, "_other_threads", ends)
    run(main)
    assert woken == []
    assert taken() == []


@pytest.mark.parametrize("idle", [False, True])
def test_an_idle_worker_wakes_nobody_and_one_that_works_may(idle: bool) -> None:
    free = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(free.wait, 0 if idle else 60)
        (worker,) = pool._threads
        if idle:
            work.result()
            while not deadlocks.is_idle(sys._current_frames()[worker.ident or 0]):  # it tells before it waits again
                pass
        assert deadlocks.is_idle(sys._current_frames()[worker.ident or 0]) is idle
        free.set()


@pytest.mark.parametrize("other", [False, True])
def test_asyncio_says_of_a_task_that_nobody_asks_only_what_it_died_of_itself(other: bool) -> None:
    said: list[Any] = []

    async def twice() -> None:
        lock = asyncio.Lock()
        try:
            async with lock, lock:
                pass
        except TaskDeadlockError as error:
            raise (ValueError() if other else error) from None

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["exception"]))
        await asyncio.wait([asyncio.create_task(twice())])
        gc.collect()

    run(main)
    assert len(taken()) == 1
    assert [type(error) for error in said] == ([ValueError] if other else [])


def test_a_handler_of_a_signal_may_wake_a_loop() -> None:
    assert not deadlocks.handlers()
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        assert deadlocks.handlers()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_only_ends_a_test_wakes_nobody() -> None:
    def times_out(*_: object) -> None: ...

    times_out.__module__ = "pytest_timeout"
    before = signal.signal(signal.SIGUSR1, times_out)
    try:
        assert not deadlocks.handlers()
        times_out.__module__ = "app"
        assert deadlocks.handlers()
    finally:
        signal.signal(signal.SIGUSR1, before)
