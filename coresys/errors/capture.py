"""An exception as a plain record, made in the thread that it happened in, while it is being handled.

Nothing of the exception is kept: no frame, no traceback, no object of the program; names, numbers and texts only.

The trap: up to CPython 3.12, reading ``f_locals`` of a frame that still runs makes a dictionary of its variables that
stays with it until it returns, and so pins everything that they held, this exception among it. So there, the variables
of a frame are read only where it is certain to be over: where the traceback shows that the exception left it for the
frame that had called it. That leaves out the frame that catches the exception, and where it was raised again (from a
future, say) the first one of the earlier part. From 3.13 on reading pins nothing, and all are read.
"""

from __future__ import annotations

import os
import sys
import threading
from _thread import get_ident
from collections.abc import Callable, Iterable
from contextvars import ContextVar, copy_context
from types import CodeType, FrameType, TracebackType
from typing import Any

from coresys.errors.hierarchy import ObserverFailedError
from coresys.errors.marks import dict_of
from coresys.errors.secrets import SECRETS, Secrets
from coresys.errors.values import Values
from coresys.system_records import ErrorRecord, FrameRecord

READING_PINS = sys.version_info < (3, 13)
NOWHERE = "nowhere"

# The wrappers in here have the arguments of what they call by place, not by name: nothing would mask them.
_OURS = os.path.dirname(__file__) + os.sep
_OPTIMIZED = 0x1  # code flags: variables are not a dictionary, as those of modules and classes are
_SUSPENDABLE = 0x20 | 0x80 | 0x200  # generators and coroutines: left by a frame that they may be resumed from
_NONE: tuple[tuple[str, str], ...] = ()
_new_frame: Callable[[type[FrameRecord], tuple[str, int, str, tuple[tuple[str, str], ...]]], FrameRecord] = (
    tuple.__new__  # the constructor of a named tuple is a Python function: this is four times as fast
)
# Of a class itself, not what its metaclass makes of it.
_qualname: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_module: Callable[[type], Any] = type.__dict__["__module__"].__get__
_mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__


class Capture:
    """Makes records of exceptions. Any thread may call it; it has no state.

    ``frames``: how many of a traceback are kept, three quarters of them the innermost. ``values``: show local variables
    within those bounds; None: none. ``context``: context variables to keep, by name or themselves. ``errors``: how many
    causes and members of groups are kept in all. ``characters``: of a message, and of each of its notes.

    >>> try:
    ...     {}["missing"]
    ... except KeyError as error:
    ...     record = Capture()(error, component="orders")
    >>> record.kind, record.message, record.component, record.frames[-1].line
    ('KeyError', "'missing'", 'orders', 2)
    """

    __slots__ = ("_characters", "_context", "_errors", "_frames", "_names", "_notes", "_secrets", "_values")

    def __init__(
        self,
        *,
        frames: int = 64,
        values: Values | None = None,
        context: Iterable[str | ContextVar[Any]] = (),
        errors: int = 40,
        characters: int = 1000,
        secrets: Secrets | None = None,
    ) -> None:
        if not (frames >= 4 and errors >= 0 and characters >= 1):  # so that NaN is refused
            raise ValueError("at least 4 frames and 1 character are kept, and not fewer than 0 errors")
        self._frames, self._errors, self._characters, self._notes = frames, errors, characters, 8
        self._secrets = secrets or (values.secrets if values is not None else SECRETS)
        self._values = values
        given = tuple(context)
        self._context = tuple(each for each in given if not isinstance(each, str))
        self._names = frozenset(each for each in given if isinstance(each, str))

    def __call__(
        self,
        error: BaseException,
        *,
        component: str = "",
        severity: str = "error",
        time: float = 0.0,
        task: str | None = None,
        route: tuple[str, ...] = (),
        number: Callable[[BaseException], int] | None = None,
    ) -> ErrorRecord:
        """The record of an exception, its causes and members.

        ``time`` and ``route`` are put in as they are; ``number`` says which number an exception has, 0 where it has
        none. Never raises for what an exception is like.
        """
        thread, task = _thread_name(), task or _task_name()
        work = _Work(self, component, severity, time, thread, task, self._errors, number or _no_number)
        return work.record(error, self._variables() if self._context or self._names else _NONE, route)

    def _variables(self) -> tuple[tuple[str, str], ...]:
        present = copy_context()
        found = [(var.name, present[var]) for var in self._context if var in present]
        if self._names:
            found += [(var.name, value) for var, value in present.items() if var.name in self._names]
        show = (self._values or _SHOWN).show
        return tuple((name, show(name, value)) for name, value in sorted(found, key=_first))

    def message(self, error: BaseException) -> str:
        """``str(error)``, shortened and scrubbed; what can be said where that raises."""
        try:
            text = str.__getitem__(str(error), slice(None))  # of a subclass, the text without its methods
        except KeyboardInterrupt:
            raise  # a signal's
        except BaseException as problem:
            return f"<message could not be read: {_kind(type(problem))}>"
        return self._short(text)

    def notes(self, error: BaseException) -> tuple[str, ...]:
        """The notes that were added to it, of which there may be any number, and anything."""
        notes = dict_of(error).get("__notes__")
        if type(notes) is not list and type(notes) is not tuple:
            return ()
        return tuple(
            self._short(str.__getitem__(note, slice(None)))
            for note in notes[: self._notes]
            if any(base is str for base in _mro(type(note)))
        )

    def _short(self, text: str) -> str:
        limit = self._characters
        window = text[: limit + 500]
        scrubbed = self._secrets.scrub(window, cut=len(window) < len(text))
        if len(scrubbed) <= limit and len(window) == len(text):
            return str(scrubbed)
        return f"{scrubbed[:limit]}..."

    def walk(self, trace: TracebackType | None) -> tuple[tuple[FrameRecord, ...], int]:
        """The frames of a traceback, outermost first, and how many were left out of its middle."""
        entries = []
        while trace is not None:
            entries.append(trace)
            trace = trace.tb_next
        left_out = max(0, len(entries) - self._frames)
        if left_out:
            outer = self._frames // 4
            del entries[outer : outer + left_out]
        if self._values is not None and entries:
            return self._with_values(entries, self._values), left_out
        new = _new_frame
        return tuple(
            [
                new(FrameRecord, (code.co_filename, entry.tb_lineno, code.co_name, _NONE))
                for entry in entries
                for code in (entry.tb_frame.f_code,)
            ]
        ), left_out

    def _with_values(self, entries: list[TracebackType], values: Values) -> tuple[FrameRecord, ...]:
        room = values.total  # the innermost first: they say most
        frames = []
        last = len(entries) - 1
        without = last - values.frames
        for at in range(last, -1, -1):
            entry = entries[at]
            frame = entry.tb_frame
            code = frame.f_code
            shown = _NONE
            if (
                at > without
                and room > 0
                and code.co_flags & _OPTIMIZED
                and not code.co_filename.startswith(_OURS)
                and (not READING_PINS or (at and _is_over(frame, entries[at - 1].tb_frame, code)))
            ):
                shown = values.of(frame.f_locals, room)
                for _, text in shown:
                    room -= len(text)
            frames.append(_new_frame(FrameRecord, (code.co_filename, entry.tb_lineno, code.co_name, shown)))
        frames.reverse()
        return tuple(frames)


class _Work:
    """One capture: what its records have in common, and how many of them may still be made."""

    __slots__ = ("capture", "component", "inside", "left", "number", "severity", "task", "thread", "time")

    def __init__(
        self,
        capture: Capture,
        component: str,
        severity: str,
        time: float,
        thread: str,
        task: str | None,
        left: int,
        number: Callable[[BaseException], int],
    ) -> None:
        self.capture, self.component, self.severity, self.time = capture, component, severity, time
        self.thread, self.task, self.left, self.number = thread, task, left, number
        self.inside: set[int] = set()  # what is being recorded now, so that a circle ends

    def record(
        self,
        error: BaseException,
        context: tuple[tuple[str, str], ...] = _NONE,
        route: tuple[str, ...] = (),
        *,
        depth: int = 0,
        chain: bool = True,
    ) -> ErrorRecord:
        kind = type(error)
        trace = error.__traceback__
        frames, frames_left_out = self.capture.walk(trace)
        self.inside.add(id(error))
        members, members_left_out = self._members(error, depth)  # first: a cause too many must not cost a member
        causes, causes_left_out = self._causes(error, depth) if chain else ((), 0)
        self.inside.discard(id(error))
        name = _kind(kind)
        return ErrorRecord(
            self.number(error),
            self.time,
            name,
            self.capture.message(error),
            self.component,
            fingerprint(name, trace),
            self.thread,
            self.task,
            frames,
            causes,
            members,
            context,
            route,
            self.severity,
            frames_left_out,
            self.capture.notes(error),
            causes_left_out + members_left_out,
        )

    def _causes(self, error: BaseException, depth: int) -> tuple[tuple[ErrorRecord, ...], int]:
        """What it came from, nearest first: a chain, in which each has none of its own any more."""
        cause = _cause(error)
        if cause is None and not isinstance(error, ObserverFailedError):
            return (), 0
        found, left_out = [], 0
        seen = set(self.inside)  # what is a cause here may be a member, or the cause of another, as well
        while cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            if self.left > 0:
                self.left -= 1
                found.append(self.record(cause, depth=depth + 1, chain=False))
            else:
                left_out += 1
            cause = _cause(cause)
        if isinstance(error, ObserverFailedError):  # several failed, and the first is the cause
            more, more_left_out = self._all([each for each in error.causes if id(each) not in seen], depth)
            return (*found, *more), left_out + more_left_out
        return tuple(found), left_out

    def _members(self, error: BaseException, depth: int) -> tuple[tuple[ErrorRecord, ...], int]:
        members = group_members(error)
        return self._all(members, depth) if members else ((), 0)

    def _all(self, errors: Iterable[object], depth: int) -> tuple[tuple[ErrorRecord, ...], int]:
        found, left_out = [], 0
        seen = set(self.inside)
        for each in errors:
            if not isinstance(each, BaseException) or id(each) in seen:
                continue
            seen.add(id(each))
            if self.left <= 0 or depth >= 16:
                left_out += 1
                continue
            self.left -= 1
            found.append(self.record(each, depth=depth + 1))
        return tuple(found), left_out


def group_members(error: BaseException) -> tuple[BaseException, ...]:
    """Those of an exception group, also of one that is not the interpreter's own (before 3.11); else none."""
    kind = type(error)
    # By name: the class does not exist on 3.10, and the one that is put in its place there is not known here.
    if "BaseExceptionGroup" not in [_qualname(base) for base in _mro(kind)]:
        return ()
    try:
        members = error.exceptions  # type: ignore[attr-defined]  # as said
    except Exception:
        return ()
    return tuple(members) if isinstance(members, (tuple, list)) else ()


def fingerprint(kind: str, trace: TracebackType | None) -> str:
    """The same for errors of one class that were raised by the same instruction of the same code."""
    if trace is None:
        return f"{kind}@{NOWHERE}"
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{kind}@{code.co_filename}:{code.co_firstlineno}+{trace.tb_lasti}"


def leaves(record: ErrorRecord) -> tuple[ErrorRecord, ...]:
    """The errors in a record that are no groups: itself, or those of its members."""
    if not record.members:
        return (record,)
    return tuple(leaf for member in record.members for leaf in leaves(member))


def _kind(kind: type) -> str:
    name = _qualname(kind)
    try:
        module = _module(kind)
    except AttributeError:  # made where there was no __name__
        return name
    return name if type(module) is not str or module == "builtins" else f"{module}.{name}"


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _is_over(frame: FrameType, before: FrameType, code: CodeType) -> bool:
    """Whether the exception left ``frame`` for the frame before it in the traceback, which had called it."""
    if frame.f_back is not before:
        return False
    # A generator that caught the exception may have been left by yielding, and be running again.
    return not code.co_flags & _SUSPENDABLE or not _runs_here(frame)


def _runs_here(frame: FrameType) -> bool:
    running: FrameType | None = sys._getframe(1)
    while running is not None:
        if running is frame:
            return True
        running = running.f_back
    return False


def _task_name() -> str | None:
    asyncio = sys.modules.get("asyncio")
    running = getattr(asyncio, "_get_running_loop", None)  # another thread may be importing it just now
    if asyncio is None or running is None or running() is None:
        return None
    task = asyncio.current_task()
    return None if task is None else str(task.get_name())


def _thread_name() -> str:
    # Not current_thread(): where the thread has ended but for its finalizers that makes one, which stays for ever; and
    # while the interpreter ends it raises.
    thread = (threading._active or {}).get(get_ident())  # type: ignore[attr-defined]  # private
    return f"thread {get_ident()}" if thread is None else str(thread.name)


def _no_number(error: BaseException) -> int:
    return 0


def _first(pair: tuple[str, object]) -> str:
    return pair[0]


_SHOWN = Values()
