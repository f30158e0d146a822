"""What is there now and was not before, by identity, and named: threads, descriptors, child processes, tasks.

A count alone says that something was left behind; an identity says what. Identities are plain values, so that keeping
them keeps nothing alive.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from coresys.frames import current_frames
from coresys.measure import meters
from coresys.measure.system import System


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing: ``take`` lists what is there by identity, ``describe`` names one of them on a line."""

    take: Callable[[], Mapping[Any, Any]]
    describe: Callable[[Any, Any], str]


def _threads() -> Mapping[Any, threading.Thread | None]:
    known = meters.python_threads()
    try:
        return {tid: known.get(tid) for tid in meters.native_threads()}
    except OSError:  # no /proc: what Python did not start stays unseen
        return known


def describe_thread(tid: int, thread: threading.Thread | None) -> str:
    """Name and class of a thread, what it runs, and the line at which it stands now."""
    if thread is None:
        name = meters.thread_name(tid)
        return f"thread {tid}{'' if name is None else f' {name!r}'}, not started by Python"
    kind = "" if type(thread) is threading.Thread else f" ({type(thread).__qualname__})"
    target = getattr(thread, "_target", None)  # gone once it has run
    runs = f", runs {_callable_name(target)}" if target is not None else ""
    frame = current_frames().get(thread.ident or 0)
    return f"thread {thread.name!r}{kind}{' daemon' if thread.daemon else ''}{runs}{_stands(frame)}"


def _callable_name(target: object) -> str:
    while hasattr(target, "func"):  # functools.partial
        target = target.func
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", type(target).__qualname__)
    return f"{module}.{name}" if module else str(name)


def _stands(frame: FrameType | None) -> str:
    """Where a frame stands, with the innermost caller outside the standard library before it."""
    if frame is None:
        return ""
    here = _place(frame)
    user: FrameType | None = frame
    while user is not None and user.f_code.co_filename.startswith(_LIBRARY):
        user = user.f_back
    if user is None or user is frame:
        return f", now at {here}"
    return f", now at {_place(user)} in {here}"


_LIBRARY = (os.path.dirname(threading.__file__) + os.sep, "<frozen ")


def _place(frame: FrameType) -> str:
    path = frame.f_code.co_filename
    if path.startswith(_LIBRARY):
        return f"{os.path.basename(path)}:{frame.f_lineno} {frame.f_code.co_name}"
    return f"{_short(path)}:{frame.f_lineno} {frame.f_code.co_name}"


def _short(path: str) -> str:
    try:
        return path.removeprefix(System.getcwd() + os.sep)
    except OSError:  # the working directory was removed
        return path


def _descriptors() -> dict[Hashable, None]:
    found: dict[Hashable, None] = {}
    for fd in meters.descriptors():
        try:
            status = System.fstat(fd)
        except OSError:
            continue  # closed since by another thread
        # With the inode, a number that was closed and given out again is not taken for the old one.
        found[fd, status.st_dev, status.st_ino] = None
    return found


def _describe_descriptor(identity: tuple[int, int, int], _nothing: None) -> str:
    return meters.describe_descriptor(identity[0])


def _processes() -> dict[Hashable, None]:
    return dict.fromkeys(meters.children())


def _describe_process(pid: int, _nothing: None) -> str:
    return meters.describe_process(pid)


def _tasks() -> dict[Hashable, Any]:
    # Weak, so that a task is not kept; and no id, which a later task may get again.
    return {weakref.ref(task): task for task in meters.pending_tasks()}


def describe_task(_identity: object, task: Any) -> str:
    """Name of a task, its coroutine, and the line at which it waits."""
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", type(coroutine).__qualname__)
    frames = task.get_stack(limit=1)
    where = f", waits at {_place(frames[0])}" if frames else ""
    return f"task {task.get_name()!r} of {name}(){where}"


KINDS: dict[str, Kind] = {
    "threads.leaked": Kind(_threads, describe_thread),
    "descriptors.leaked": Kind(_descriptors, _describe_descriptor),
    "processes.leaked": Kind(_processes, _describe_process),
    "tasks.leaked": Kind(_tasks, describe_task),
}
"""What can be counted exactly, by measure key."""
