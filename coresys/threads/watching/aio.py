"""asyncio's locks, watched: the order in which tasks take them, and who holds what another one waits for.

The methods of ``asyncio.Lock`` and ``asyncio.Semaphore`` (and through them ``Condition`` and ``BoundedSemaphore``) are
wrapped, those of users' subclasses are left alone. A semaphore that lets one in at a time is a lock in the order graph.
A lock that another task than its holder lets go is a signal, and makes no order, as with threads.

Each wrapper does what the original does, then notes; no future, callback, task or timer is added.
"""

from __future__ import annotations

import asyncio.events
import asyncio.locks
import asyncio.queues
import asyncio.tasks
import functools
import sys
from asyncio import base_events
from collections.abc import Callable
from types import CodeType, FrameType, ModuleType
from typing import Any

from coresys.threads.watching import makers
from coresys.threads.watching.aio_loops import run_forever
from coresys.threads.watching.aio_parties import (
    Held,
    State,
    TaskParty,
    Wait,
    parties,
    party_of,
    states,
    watch_of,
    went_wrong,
)
from coresys.threads.watching.aio_tasks import awaiters
from coresys.threads.watching.chains import Ident, Permits, Place

Replace = Callable[[Any, str, Any], None]
_running_loop = asyncio.events._get_running_loop
_current_task = asyncio.tasks.current_task
_getframe, _outside = sys._getframe, makers.outside


def install(replace: Replace) -> None:
    """Put the watching methods in place, by ``replace(owner, name, new)``. What was put there is taken back by that."""
    lock, semaphore = asyncio.locks.Lock, asyncio.locks.Semaphore
    replace(lock, "__init__", _made(vars(lock)["__init__"]))
    replace(semaphore, "__init__", _made(vars(semaphore)["__init__"]))
    for cls, free in ((lock, _is_free), (semaphore, _lets_in)):
        replace(cls, "acquire", _acquire(vars(cls)["acquire"], free))
        replace(cls, "release", _release(vars(cls)["release"]))
    for owner, name in (
        (asyncio.locks.Event, "set"),
        (asyncio.locks.Condition, "notify"),
        (asyncio.queues.Queue, "put_nowait"),
        (asyncio.queues.Queue, "task_done"),
    ):
        replace(owner, name, _tells(vars(owner)[name]))
    replace(base_events.BaseEventLoop, "run_forever", run_forever(vars(base_events.BaseEventLoop)["run_forever"]))


def adopt(module: ModuleType) -> None:
    """Watch those locks of a user's module that are older than the watch, and that nobody holds."""
    for name, value in list(vars(module).items()):
        if type(value) is asyncio.locks.Lock and not value._locked:  # type: ignore[attr-defined]
            _make(value, (None, 0), 1, f"{module.__name__}.{name}")


def _task() -> Any:
    """The task that runs; None outside of any."""
    loop = _running_loop()
    return None if loop is None else _current_task(loop)


# Making


def _made(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, *given: Any, **named: Any) -> None:
        __tracebackhide__ = True
        original(self, *given, **named)
        frame = sys._getframe(1)
        place = _user(frame)
        if place is not None:
            _make(self, place, getattr(self, "_value", 1))

    return __init__


def _user(frame: FrameType | None) -> Place | None:
    """The place of the user for whom something is made; None for what pytest, or the library, makes for itself."""
    while frame is not None:
        kind = makers.kind_of(frame.f_globals.get("__name__"))
        if kind is makers.USER:
            return frame.f_code, frame.f_lasti
        if kind is makers.PLUMBING:
            return None
        frame = frame.f_back
    return None


def _make(lock: Any, place: Place, limit: Any, name: str | None = None) -> None:
    kind = "asyncio.Lock" if isinstance(lock, asyncio.locks.Lock) else "asyncio.Semaphore"
    if isinstance(limit, int) and limit > 0:
        ident = Ident(kind, place, name) if limit == 1 else Permits(kind, place, limit, name)
        states[id(lock)] = State(lock, ident, limit)


# Taking, and letting go


def _is_free(lock: Any) -> bool:
    return not lock._locked


def _lets_in(semaphore: Any) -> bool:
    return bool(semaphore._value > 0)


_acquires: set[CodeType] = set()


def _acquire(original: Callable[..., Any], free: Callable[[Any], bool]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def acquire(self: Any) -> Any:
        __tracebackhide__ = True
        state = states.get(id(self))
        task = None if state is None else _task()
        if state is None or task is None:
            return await original(self)
        place = _outside(_getframe(1))
        if free(self):
            got = await original(self)
        else:
            got = await _waited(original, self, state, task, place)
        try:
            _taken(state, task, place)
        except Exception as error:
            went_wrong(error)
        return got

    wrapped: Any = acquire
    _acquires.add(wrapped.__code__)
    return acquire


def _taken(state: State, task: Any, place: Place) -> None:
    # Where all that a task does is to take it (``wait_for``, before 3.12), who waits for that holds it.
    owner = _owner(task) if getattr(task.get_coro(), "cr_code", None) in _acquires else task
    if owner is not None:
        party = parties.get(id(owner)) or party_of(owner)
        if state.gates:
            party.take(state, place)
        else:
            state.holders.append(Held(party, state, place))


async def _waited(original: Callable[..., Any], lock: Any, state: State, task: Any, place: Place) -> Any:
    """Wait for a lock that is not free."""
    __tracebackhide__ = True
    party = party_of(task)
    outer, waiting = party.waiting, party.watch.waiting
    party.waiting = Wait(state, place)
    waiting[party.number] = party
    try:
        return await original(lock)
    finally:
        party.waiting = outer
        if outer is None:
            waiting.pop(party.number, None)


def _owner(task: Any) -> Any:
    """The one that waits for a task; None where that is not one."""
    found = awaiters(task)
    return found[0] if len(found) == 1 else None


def _release(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def release(self: Any) -> Any:
        __tracebackhide__ = True
        found = original(self)
        state = states.get(id(self))
        if state is not None:
            if getattr(self, "_value", 0) > state.limit:
                state.ident.handed = True  # it lets more in than it was made for: a count of something
            try:
                _let_go(state, _task())
            except Exception as error:
                went_wrong(error)
        return found

    return release


def _let_go(state: State, task: Any) -> None:
    for held in state.holders:
        if held.party.task() is task and task is not None:
            break
    else:
        # Another task's, or nobody's that is known: whose it was, if there is but one, has lost it.
        if not state.holders:
            return
        state.ident.handed = True
        held = state.holders[0]
    state.holders.remove(held)
    if state.gates:
        held.party.let_go(held)


def _tells(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def tells(*given: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        if parties:
            task = _task()
            party: TaskParty | None = None if task is None else parties.get(id(task))
            if party is not None:
                party.tell()
        return original(*given, **named)

    return tells


__all__ = ["adopt", "install", "watch_of"]
