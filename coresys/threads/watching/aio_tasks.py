"""Tasks of asyncio: what each waits for, which tasks could end that, and where it stands.

Reads what asyncio keeps, and changes nothing. Called where something is seen for the first time, and where an event
loop has nothing to do.
"""

from __future__ import annotations

import asyncio.tasks
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from coresys.threads.watching import makers
from coresys.threads.watching.chains import Place

ANYBODY: Any = object()  # could end a wait: it is not known who will
SOMEBODY: Any = object()  # does, or is about to
DEEPEST = 40  # coroutines, and lines of a stack
_wait_code = asyncio.tasks._wait.__code__  # type: ignore[attr-defined]
_DEFAULT_NAME = re.compile(r"Task-\d+")

Enders = Any  # a tuple of tasks, all of which have to end first; or ANYBODY, or SOMEBODY


def is_task(thing: Any) -> bool:
    """Whether it is a task, of C or of Python."""
    return isinstance(thing, (asyncio.tasks.Task, asyncio.tasks._PyTask))  # type: ignore[attr-defined]


def waiter_of(task: Any) -> Any:
    """The future that a task waits for; None where it does not, or where that is not known."""
    return getattr(task, "_fut_waiter", None)


def callbacks(future: Any) -> list[Any]:
    """What a future calls when it is done."""
    found = getattr(future, "_callbacks", None)
    return [callback for callback, _ in found] if found else []


def coroutines(task: Any) -> Iterator[Any]:
    """The coroutines of a task, the outermost first."""
    inner = task.get_coro()
    for _ in range(DEEPEST):
        if inner is None:
            return
        yield inner
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)


def frames(task: Any) -> list[Any]:
    """The frames of a task that is suspended, the innermost first."""
    found = [getattr(each, "cr_frame", None) or getattr(each, "gi_frame", None) for each in coroutines(task)]
    return [frame for frame in reversed(found) if frame is not None]


def standing(task: Any) -> Place:
    """Where a suspended task stands: in its innermost frame that is a user's, else in its outermost one."""
    frame: Any = None
    for frame in frames(task):
        if makers.kind_of(frame.f_globals.get("__name__")) is makers.USER:
            break
    return (None, 0) if frame is None else (frame.f_code, frame.f_lasti)


def stack(task: Any) -> tuple[str, ...]:
    """The lines of a suspended task, the innermost first."""
    found = []
    for frame in frames(task):
        if makers.kind_of(frame.f_globals.get("__name__")) is not makers.PLUMBING:
            found.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
    return tuple(found)


def name_of(task: Any) -> str:
    """The name of a task, with its coroutine where nobody has given it one."""
    name = str(task.get_name())
    if not _DEFAULT_NAME.fullmatch(name):
        return f"task {name}"
    coroutine = task.get_coro()
    called = getattr(coroutine, "__qualname__", None) or type(coroutine).__name__
    return f"{name} ({str(called).replace('.<locals>', '')})"


def enders(task: Any) -> Enders:
    """The tasks that have to end before ``task`` goes on."""
    future = waiter_of(task)
    if future is None or future.done():
        return SOMEBODY
    found = _of(future)
    return _of_frame(task, future) if found is ANYBODY else found


def _of(future: Any) -> Enders:
    if is_task(future):
        return (future,)
    children = getattr(future, "_children", None)  # of gather
    if children is not None:
        return _all(children)
    for callback in callbacks(future):  # of shield
        if getattr(callback, "__qualname__", "") == "shield.<locals>._outer_done_callback":
            for cell in callback.__closure__ or ():
                if asyncio.isfuture(cell.cell_contents):
                    return _all([cell.cell_contents])
    return ANYBODY


def _all(futures: Iterable[Any]) -> Enders:
    found: list[Any] = []
    pending = [future for future in futures if not future.done()]
    for future in pending:
        its = _of(future)
        if its is ANYBODY or its is SOMEBODY:
            return its
        found += [task for task in its if task not in found]
    return tuple(found) if pending else SOMEBODY


def _of_frame(task: Any, future: Any) -> Enders:
    """Of those functions that wait for tasks by a future of their own. Only the library's frames are looked into."""
    inner = frames(task)[:2]
    for frame in inner:
        module, name = str(frame.f_globals.get("__name__")), frame.f_code.co_name
        if frame.f_code is _wait_code:
            given = frame.f_locals
            if given.get("timeout") is None and given.get("return_when") == asyncio.ALL_COMPLETED:
                return _all(given.get("fs", ()))
        elif module == "asyncio.taskgroups" or (module.startswith("anyio._backends") and name == "__aexit__"):
            group = frame.f_locals.get("self")
            if getattr(group, "_on_completed_fut", None) is future:
                return _all(group._tasks)
        elif name == "_call_in_runner_task" and module.startswith("anyio."):  # its pytest plugin
            runner = getattr(frame.f_locals.get("self"), "_runner_task", None)
            return ANYBODY if runner is None else (runner,)
    return ANYBODY


# Timeouts


def timed(task: Any, most: int | None = None) -> bool:
    """Whether a timer will end what the task does; also where timers are not known, or are more than ``most``."""
    scheduled = getattr(task.get_loop(), "_scheduled", None)
    if scheduled is None or (most is not None and len(scheduled) > most):
        return True
    return any_timer(scheduled, [task])


def any_timer(scheduled: Iterable[Any], tasks: Iterable[Any]) -> bool:
    """Whether one of the timers is about one of the tasks: it cancels the task, or ends what that waits for."""
    things: set[int] = set()
    for task in tasks:
        things.add(id(task))
        future = waiter_of(task)
        if future is not None:
            things.add(id(future))
        for callback in callbacks(task):  # wait_for, before 3.12, has a future of its own beside the task's
            if isinstance(callback, functools.partial):
                things.update(id(given) for given in callback.args)
    return any(
        id(thing) in things
        for handle in list(scheduled)
        if not handle._cancelled
        for thing in _concerned(handle._callback, handle._args or ())
    )


def _concerned(callback: Any, given: Iterable[Any]) -> Iterator[Any]:
    yield from given
    yield from _with_it(callback)
    callback = getattr(callback, "func", callback) if isinstance(callback, functools.partial) else callback
    owner = getattr(callback, "__self__", None)
    yield owner
    for name in ("_task", "_host_task", "_tasks"):  # of asyncio's and async_timeout's timeouts, and anyio's scopes
        try:
            found = object.__getattribute__(owner, name)  # no code of others
        except AttributeError:
            continue
        yield from found if isinstance(found, set) else (found,)


def awaiters(task: Any) -> list[Any]:
    """The tasks that wait for a task, itself or by what its end calls: of gather, wait, wait_for, shield, a group."""
    found: list[Any] = []
    seen: list[Any] = []
    todo = [task]
    while todo:
        future = todo.pop()
        seen.append(future)
        for callback in callbacks(future):
            owner = getattr(callback, "__self__", None)
            if is_task(owner):
                found.append(owner)
            elif type(owner).__module__ == "asyncio.taskgroups":
                found.append(owner._parent_task)  # type: ignore[union-attr]
            for thing in _with_it(callback):
                if asyncio.isfuture(thing) and not is_task(thing) and all(thing is not each for each in seen):
                    todo.append(thing)
    return found


def _with_it(callback: Any) -> Iterator[Any]:
    """What a callback was given beforehand, and what it closes over."""
    if isinstance(callback, functools.partial):
        yield from callback.args
    for cell in getattr(callback, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            continue


__all__ = [
    "ANYBODY",
    "SOMEBODY",
    "any_timer",
    "awaiters",
    "callbacks",
    "coroutines",
    "enders",
    "frames",
    "is_task",
    "name_of",
    "stack",
    "standing",
    "timed",
    "waiter_of",
]
