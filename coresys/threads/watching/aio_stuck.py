"""Deadlocks of tasks that happen: found where an event loop has nothing to do, and broken in one task.

Two kinds are told, by the loop's own thread, between two turns of the loop, so that no task moves meanwhile:

- *Nobody is left*: the loop waits without a timeout; no file but its own is watched; no signal has a handler, no other
  thread runs but idle workers and the test runner's. Then nothing can ever wake it. After ``QUIET`` seconds. Threads
  that have themselves waited for ever for ``deadlocks.QUIET`` seconds run no more than it does: a worker of the loop's
  executor, say, for a lock which a task holds that awaits what that worker is to do.
- *A circle*: tasks that wait for locks and for one another, and all who could end their waits are among them. That can
  be seen while the loop goes on with other things. It is told when it has stood for ``QUIET`` seconds, no timer is
  about one of them, or about who waits for them, and all timers that were due within ``SOON`` when it was first seen
  have come and gone, for a task that sleeps may be about to cancel another. A lock that others than its holder let go,
  or whose holder has ended, can be let go by anybody: no circle.

It is told in the task that closes the circle, by the future that it waits for; where nobody is left, in the one that
the loop was run for, or whom that waits for in the end.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio import base_events
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from coresys.clock import monotonic
from coresys.errors.hierarchy import TaskDeadlockError
from coresys.frames import current_frames
from coresys.records import Location
from coresys.threads.watching import chains, deadlocks, makers
from coresys.threads.watching.aio_parties import State, TaskParty, Wait, Watch, parties
from coresys.threads.watching.aio_tasks import (
    ANYBODY,
    SOMEBODY,
    any_timer,
    awaiters,
    callbacks,
    enders,
    frames,
    is_task,
    name_of,
    stack,
    standing,
    waiter_of,
)
from coresys.threads.watching.chains import Ident, here
from coresys.threads.watching.deadlocks import Broken, Stuck
from coresys.threads.watching.places import place_of
from coresys.threads.watching.tokens import RUN

QUIET = 2.0  # seconds for which nothing has happened
SOON = 30.0  # seconds: timers that are due later are not waited for
OFTEN = 2  # times that a task is told, before others are
MOST = 20  # tasks of a report


# Who waits for whom?


def wait_of(task: Any) -> Wait | None:
    """The lock that a task waits for."""
    party = parties.get(id(task))
    return None if party is None else party.waiting


def wakers(task: Any) -> Any:
    """The tasks, all of which have to go on before ``task`` does; or ANYBODY, or SOMEBODY."""
    future = waiter_of(task)
    if future is None or future.done():
        return SOMEBODY
    wait = wait_of(task)
    if wait is None:
        return enders(task)
    return _holders(wait.state, task)


def _holders(state: State, task: Any) -> Any:
    found = []
    for held in state.holders:
        holder = held.party.task()
        if holder is None or holder.done() or holder is task or holder.get_loop() is not task.get_loop():
            return ANYBODY
        found.append(holder)
    return ANYBODY if state.ident.handed or len(found) < state.limit else tuple(found)


def closed(task: Any) -> dict[Any, Any] | None:
    """All tasks that ``task`` waits for in the end, each with its wakers; None if one of them may go on."""
    members: dict[Any, Any] = {}
    todo = [task]
    while todo:
        each = todo.pop()
        if each in members:
            continue
        its = wakers(each)
        if its is ANYBODY or its is SOMEBODY:
            return None
        members[each] = its
        todo += its
    return members


def circle_of(members: dict[Any, Any]) -> list[Any]:
    """A circle among tasks, in its order: each waits for the next."""
    for start in members:
        path, task = [start], start
        while True:
            its = [each for each in members.get(task, ()) if each in members]
            if not its:
                break
            task = its[0]
            if task in path:
                return path[path.index(task) :]
            path.append(task)
    return []


# A circle in a loop that goes on


def look_at_waits(watch: Watch, loop: Any) -> bool:
    """Break a circle that has stood for long enough; True if there was one."""
    now, time = monotonic(), loop.time()
    seen: dict[Any, tuple[float, float]] = {}
    done = False
    for party in list(watch.waiting.values()):
        task, wait = party.task(), party.waiting
        members = None if task is None or wait is None or done else closed(task)
        if not members:
            continue
        key = frozenset((id(each), id(waiter_of(each))) for each in members)
        if key in seen:
            continue
        pending = [handle._when for handle in list(loop._scheduled) if not handle._cancelled]
        first = now, max((when for when in pending if when <= time + SOON), default=time)
        since, until = seen[key] = watch.suspects.get(key) or first
        if now - since < QUIET or any(when <= until for when in pending):
            continue
        if not any_timer(loop._scheduled, _upwards(loop, members)):
            circle = _from_the_last(circle_of(members))
            done = tell(watch, circle[0], circle, quiet=False)
    watch.suspects = seen
    return done


def _upwards(loop: Any, members: dict[Any, Any]) -> set[Any]:
    """The tasks of a circle, and all that wait for them."""
    found, grows = set(members), True
    waiting = {task: enders(task) for task in asyncio.all_tasks(loop) if task not in found}
    while grows:
        more = {
            task
            for task, its in waiting.items()
            if task not in found and isinstance(its, tuple) and any(each in found for each in its)
        }
        more |= {other for task in found for other in awaiters(task)} - found
        grows = bool(more)
        found |= more
    return found


def _from_the_last(circle: list[Any]) -> list[Any]:
    """A circle from that task on which has closed it: the last that began to wait for a lock."""

    def began(task: Any) -> float:
        wait = wait_of(task)
        return -1.0 if wait is None else wait.since

    at = circle.index(max(circle, key=began))
    return circle[at:] + circle[:at]


# A loop that can never go on


def nobody_left(loop: Any, selector: Any) -> bool:
    """Whether nothing could ever wake a loop that waits without a timeout."""
    if getattr(loop, "_signal_handlers", None) or not _only_its_own(loop, selector):
        return False
    # The threads first: one that has just ended may have left something to do, and nobody comes after it.
    if deadlocks.handlers() or _other_threads():  # what is cheap before what walks all stacks
        return False
    return not (loop._ready or loop._scheduled or loop._stopping)


def _only_its_own(loop: Any, selector: Any) -> bool:
    """Whether no file is watched but the one by which other threads wake the loop."""
    own = getattr(loop, "_ssock", None)
    return own is not None and all(number == own.fileno() for number in list(selector.get_map()))


def suspect(loop: Any, selector: Any) -> None:
    """Say so, once, where a task waits for a thread which has long waited for a lock that the loop's own thread holds.

    No more than a suspicion: others run, who may wake the loop, or let the lock go.
    """
    me = here.me
    for party in chains.parties():
        wait = party.waiting
        if (
            wait is not None
            and wait.lock is not None
            and wait.lock._me is me
            and wait.seen is not deadlocks.SUSPECTED
            and deadlocks.lasts(wait, deadlocks.AGAIN)  # else a deadlock is about to be broken
            and _only_its_own(loop, selector)
            and any(_worker_of(waiter_of(task)) is party for task in asyncio.all_tasks(loop))
        ):
            deadlocks.suspect_loop(wait)


def _other_threads() -> bool:
    """Whether another thread runs that is no idle worker of a pool, and does not belong to what runs the tests."""
    found = current_frames()
    me = threading.get_ident()
    waiting = deadlocks.waiting_for_ever(found)
    try:
        for number, frame in found.items():
            if number in waiting or number == me or deadlocks.is_idle(frame):
                continue
            if not _is_ours(frame) and not _is_guard(number):
                return True
        return deadlocks.others(len(found))
    finally:
        del found


def _is_ours(frame: FrameType | None) -> bool:
    """Whether a thread is one of what runs the tests. What is ours and stands around a user's call is none."""
    ours = False
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module in deadlocks.NO_STRANGERS or module.startswith(deadlocks.RUNNERS):
            ours = True
        elif makers.kind_of(module) is not makers.LIBRARY and not module.startswith("coresys.threads.watching"):
            return False
        frame = frame.f_back
    return ours


def _is_guard(number: int) -> bool:
    """Whether a thread is a timer of what only ends tests that take too long."""
    thread = threading._active.get(number)  # type: ignore[attr-defined]
    function = getattr(thread, "function", None)
    return isinstance(thread, threading.Timer) and getattr(function, "__module__", "") in deadlocks.NO_STRANGERS


def break_quiet(watch: Watch, loop: Any) -> bool:
    """Tell one task of a loop that can never go on; True if there was one to tell."""
    main = _main(loop)
    tasks = list(asyncio.all_tasks(loop))
    waiting = {task: wakers(task) for task in tasks}
    graph = {task: its for task, its in waiting.items() if isinstance(its, tuple)}
    circle = circle_of(graph)
    chosen = [_from_the_last(circle)[0]] if circle else []
    if main is not None:
        first = main if is_task(main) else _first_of(main, tasks)
        if first is not None:
            chosen += [_last_before(first, graph), first]
    for task in chosen:
        if watch.told.get(id(task), 0) < OFTEN:
            rest = _from_the_last(circle) if circle and task in circle else [task]
            rest = _rotated(rest, task)
            return tell(watch, task, rest + [each for each in _by_name(tasks) if each not in rest], quiet=True)
    if main is not None and not is_task(main) and not main.done():
        return _tell_future(watch, main, _by_name(tasks))
    return False


def _rotated(tasks: list[Any], first: Any) -> list[Any]:
    at = tasks.index(first)
    return tasks[at:] + tasks[:at]


def _by_name(tasks: list[Any]) -> list[Any]:
    return sorted(tasks, key=lambda task: str(task.get_name()))


_until_complete = base_events.BaseEventLoop.run_until_complete.__code__


def _main(loop: Any) -> Any:
    """What the loop was run for; None where it is to run for ever."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _until_complete and frame.f_locals.get("self") is loop:
            return frame.f_locals.get("future")
        frame = frame.f_back
    return None


def _first_of(future: Any, tasks: list[Any]) -> Any:
    """A task that a future waits for, which is no task itself: of gather, or of unittest's runner before 3.11."""
    for each in getattr(future, "_children", None) or ():
        if is_task(each) and not each.done():
            return each
    for task in tasks:
        code = getattr(task.get_coro(), "cr_code", None)
        if code is not None and code.co_name == "_asyncioLoopRunner":
            return task
    return None


def _last_before(task: Any, graph: dict[Any, Any]) -> Any:
    """Whom a task waits for in the end: the one of which it is not known who could wake it."""
    path = [task]
    while True:
        its = [each for each in graph.get(path[-1], ()) if each not in path]
        if not its:
            return path[-1]
        path.append(its[0])


# Telling


def tell(watch: Watch, task: Any, order: list[Any], *, quiet: bool) -> bool:
    """Raise DeadlockError in a task, with what the tasks of ``order`` wait for; False where that cannot be done."""
    future = waiter_of(task)
    if future is None or future.done() or _is_spared(watch, order, quiet=quiet):
        return False
    error = _error(name_of(task), order, quiet=quiet)
    if not _throw(task, future, error):
        return False
    task.add_done_callback(_heard)
    watch.told[id(task)] = watch.told.get(id(task), 0) + 1
    return True


def _is_spared(watch: Watch, order: list[Any], *, quiet: bool) -> bool:
    """Whether a deadlock is to be left as it is: then it is noted, one for each time that the loop runs."""
    if not deadlocks.spared():
        return False
    if not watch.told:
        watch.told[0] = 1
        _error("", order, quiet=quiet)
    return True


def _heard(task: Any) -> None:
    """A task that died of it, and that nobody asks for its result, is told by the finding, and not by asyncio as well.

    That would be when it is collected, with a traceback, which on Python 3.11 fails whatever is being parsed then, such
    as the source that pytest shows of a failure.
    """
    if isinstance(getattr(task, "_exception", None), TaskDeadlockError):
        task.exception()


def _tell_future(watch: Watch, future: Any, order: list[Any]) -> bool:
    if watch.told.get(0, 0) >= OFTEN or _is_spared(watch, order, quiet=True):
        return False
    watch.told[0] = watch.told.get(0, 0) + 1
    future.set_exception(_error("who runs the loop", order, quiet=True))
    return True


def _throw(task: Any, future: Any, error: BaseException) -> bool:
    """Have a task wake up with an error. What it waits for stays as it is, if others may care for it."""
    if type(future) is asyncio.Future and len(callbacks(future)) == 1:
        future.set_exception(error)
        return True
    loop = task.get_loop()
    for wake, context in list(getattr(future, "_callbacks", None) or ()):
        if getattr(wake, "__self__", None) is task:
            future.remove_done_callback(wake)
            instead = loop.create_future()
            instead.set_exception(error)
            loop.call_soon(wake, instead, context=context)
            return True
    return False


def _error(name: str, order: list[Any], *, quiet: bool) -> TaskDeadlockError:
    names = deadlocks.names_of(ident for task in order for ident in _idents(task))
    stuck = tuple(_stuck(task, names) for task in order[:MOST])
    if quiet:
        stuck = (*stuck, *deadlocks.stuck_threads())
    deadlocks.note(Broken(name, quiet, stuck))
    return TaskDeadlockError(
        lock=stuck[0].wanted if stuck else "nothing",
        cycle=tuple((each.thread, each.wanted, each.holder) for each in stuck),
        sites=tuple((_short(each.at), _short(each.taken_at)) for each in stuck),
        quiet=quiet,
    )


def _short(place: Location | None) -> str:
    if place is None:
        return ""
    return f"{place.path}:{place.line}{f' in {place.function}' if place.function else ''}"


def _idents(task: Any) -> Iterator[Ident]:
    """Of what a task waits for, and holds."""
    party, wait = parties.get(id(task)), wait_of(task)
    if wait is not None:
        yield wait.state.ident
    if party is not None:
        yield from (each.state.ident for each in party.held)


def _stuck(task: Any, names: Mapping[Ident, str]) -> Stuck:
    party: TaskParty | None = parties.get(id(task))
    wait = wait_of(task)
    held = () if party is None else tuple(dict.fromkeys(names[each.state.ident] for each in party.held))
    holder, taken = "", None
    its = wakers(task)
    if wait is not None:
        wanted = names[wait.state.ident]
        if wait.state.holders:
            first = wait.state.holders[0]
            holder, taken = first.party.name, place_of(first.place)
    elif isinstance(its, tuple):
        wanted = " and ".join(f"the end of {name_of(each)}" for each in its[:3])
    else:
        wanted = _wanted(task)
    at = place_of(standing(task))
    return Stuck(name_of(task), wanted, holder, at, taken, held, stack(task))


_KNOWN = {
    ("asyncio.locks", "Event.wait"): "an Event",
    ("asyncio.locks", "Condition.wait"): "a Condition to be notified",
    ("asyncio.locks", "Lock.acquire"): "a Lock",
    ("asyncio.locks", "Semaphore.acquire"): "a Semaphore",
    ("asyncio.queues", "Queue.get"): "an item in a Queue",
    ("asyncio.queues", "Queue.put"): "room in a Queue",
    ("asyncio.queues", "Queue.join"): "a Queue to be done",
}


def _wanted(task: Any) -> str:
    """What a task waits for, by the function of the library that it stands in."""
    for frame in frames(task):
        module = str(frame.f_globals.get("__name__"))
        if makers.kind_of(module) is makers.USER:
            break
        owner = frame.f_locals.get("self")
        for cls in type(owner).__mro__:
            found = _KNOWN.get((module, f"{cls.__name__}.{frame.f_code.co_name}"))
            if found and not (found == "an Event" and _is_joined(task)):
                return found
    return "what a thread is to do" if any(_chained(waiter_of(task))) else "a future that nobody sets"


def _worker_of(future: Any) -> Any:
    """The thread, as a party, that works on what a future of asyncio's stands for."""
    for callback in _chained(future):
        for cell in callback.__closure__ or ():
            run = getattr(cell.cell_contents, "__dict__", {}).get(RUN)
            if run is not None:
                return run.party
    return None


def _chained(future: Any) -> Iterator[Any]:
    """The callbacks by which a future stands for one of ``concurrent.futures``, the work of an executor."""
    for callback in callbacks(future):
        if getattr(callback, "__qualname__", "").startswith("_chain_future.<locals>."):
            yield callback


def _is_joined(task: Any) -> bool:
    return any(
        frame.f_code.co_name == "join" and frame.f_globals.get("__name__") == "asyncio.queues" for frame in frames(task)
    )


__all__ = [
    "QUIET",
    "SOON",
    "break_quiet",
    "circle_of",
    "closed",
    "look_at_waits",
    "nobody_left",
    "suspect",
    "tell",
    "wakers",
]
