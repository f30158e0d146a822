"""Call an observer after whatever could have opened, started or created something, in all threads.

From Python 3.12 on through ``sys.monitoring``: exact to the call, also of types and of ``ctypes`` functions, and
without touching any debugger, profiler or coverage tool. Before that, or with no tool number left, through
``sys.settrace``: exact to the line, and blind in threads that were running already.
"""

from __future__ import annotations

import dis
import os
import sys
import sysconfig
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from coresys.clock import monotonic
from coresys.measure.origins_watch import HINTS, NO_HINT, SEEN_LATE, Observer, Sort

_STANDARD = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})


def is_standard(path: str) -> bool:
    """Whether a source file belongs to the standard library."""
    return path.startswith("<frozen ") or (path.startswith(_STANDARD) and "-packages" + os.sep not in path)


_PLUMBING = (
    "asyncio",
    "multiprocessing",
    "concurrent",
    "subprocess",
    "threading",
    "queue",
    "selectors",
    "socket",
    "ssl",
)


def is_plumbing(path: str) -> bool:
    """Whether a source file belongs to those parts of the standard library through which all others wait and open."""
    if path.startswith("<frozen "):
        return True
    for folder in _STANDARD:
        if path.startswith(folder):
            return path[len(folder) :].split(os.sep)[0].removesuffix(".py") in _PLUMBING
    return False


@contextmanager
def tracing(
    observer: Observer, *, is_user: Callable[[str], bool], until: float, now: Callable[[], float] = monotonic
) -> Iterator[None]:
    """Let the observer look at what the code inside does, until that time of the clock ``now`` at most."""
    switch = _Switch(observer, until, now)
    tool = _free_tool()
    start = _monitoring(switch, tool) if tool is not None else _settrace(switch, observer, is_user)
    with start:
        try:
            yield
        finally:
            switch.on = False


class _Switch:
    """Whether to look still: not after the time is up, and not in a forked child."""

    __slots__ = ("__weakref__", "_count", "_now", "look_with", "on", "until")

    def __init__(self, observer: Observer, until: float, now: Callable[[], float]) -> None:
        self.look_with = observer.look
        self.until, self._now = until, now
        self.on = True
        self._count = 0
        _watch_forks(self)

    def look(self, frame: Any, line: int | None, hints: frozenset[Sort], since: int | None = None) -> int | None:
        if not self.on:
            return None
        self._count += 1
        if not self._count & 255 and self._now() > self.until:
            self.on = False
        return self.look_with(frame, line, hints, since)


_switches: weakref.WeakSet[_Switch] = weakref.WeakSet()
_forks_watched = False


def _watch_forks(switch: _Switch) -> None:
    global _forks_watched
    _switches.add(switch)
    if not _forks_watched and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_switch_off)
        _forks_watched = True


def _switch_off() -> None:
    for switch in list(_switches):
        switch.on = False


# -- sys.monitoring -----------------------------------------------------------------------------------------------

_TOOL_NAME = "coresys origins"
_NAMED = frozenset({types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, type})


def _free_tool() -> int | None:
    """A tool number that nobody uses; None if there is none, or no ``sys.monitoring``."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        return None
    # 3 and 4 have no name of their own; 0 to 2 and 5 are those of debuggers, coverage, profilers and optimizers.
    for tool in (4, 3):
        try:
            monitoring.use_tool_id(tool, _TOOL_NAME)
        except ValueError:
            continue
        return tool
    return None


@contextmanager
def _monitoring(switch: _Switch, tool: int) -> Iterator[None]:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # Python 3.12 and later
    events = monitoring.events
    look, get_frame = switch.look, sys._getframe

    def called(code: Any, offset: int, function: Any, first: Any) -> None:
        # Of other types' objects the name is not asked: that could run the user's code.
        name = function.__name__ if type(function) in _NAMED else ""
        look(get_frame(1), None, HINTS.get(name, NO_HINT))

    def started(code: Any, offset: int) -> None:
        look(get_frame(1).f_back, None, NO_HINT)

    def ended(code: Any, offset: int, value: Any) -> None:
        look(get_frame(1), None, NO_HINT)

    callbacks = {
        events.C_RETURN: called,
        events.C_RAISE: called,
        events.PY_START: started,
        events.PY_RETURN: ended,
        events.PY_YIELD: ended,
        events.PY_UNWIND: ended,
    }
    try:
        for event, callback in callbacks.items():
            monitoring.register_callback(tool, event, callback)
        wanted = events.CALL | events.PY_START | events.PY_RETURN | events.PY_YIELD | events.PY_UNWIND
        monitoring.set_events(tool, wanted)  # the events of C functions come with those of calls
        yield
    finally:
        monitoring.set_events(tool, 0)
        for event in callbacks:
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)


# -- sys.settrace -------------------------------------------------------------------------------------------------


@contextmanager
def _settrace(switch: _Switch, observer: Observer, is_user: Callable[[str], bool]) -> Iterator[None]:
    own, everywhere = sys.gettrace(), threading.gettrace()
    trace = _Trace(switch, is_user, observer.our_files)
    try:
        threading.settrace(trace)
        sys.settrace(trace)
        yield
    finally:
        sys.settrace(own)
        threading.settrace(everywhere)


_LineHints = tuple[dict[int, frozenset[Sort]], frozenset[Sort]]  # by line, and for all other lines
_NO_HINTS: _LineHints = ({}, NO_HINT)


class _Trace:
    """The trace function of threads: it gives each frame one of its own."""

    def __init__(self, switch: _Switch, is_user: Callable[[str], bool], our_files: frozenset[str]) -> None:
        self._switch = switch
        self._is_user = is_user
        self._our_files = our_files
        self._line_by_line: dict[str, bool] = {}
        self._hints: weakref.WeakKeyDictionary[types.CodeType, _LineHints] = weakref.WeakKeyDictionary()

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        if not self._switch.on:
            sys.settrace(None)  # a thread that outlives the tracing; the caller's own is put back elsewhere
            return None
        path = frame.f_code.co_filename
        if path in self._our_files:
            return None
        caller, seen = frame.f_back, None
        if caller is not None:
            # It may have made something before it called. Of threads it is believed, at this line or, where lines are
            # not told, in all it did: Thread.start() waits for what it has started.
            code = caller.f_code
            by_line, elsewhere = _NO_HINTS if code.co_filename in self._our_files else self._hints_in(code)
            seen = self._switch.look(caller, None, by_line.get(caller.f_lineno, elsewhere) & SEEN_LATE)
        frame.f_trace_lines = self._lines_are_told(path)
        return _FrameTrace(self._switch, frame.f_lineno, self._hints_in(frame.f_code), seen)

    def _lines_are_told(self, path: str) -> bool:
        lines = self._line_by_line.get(path)
        if lines is None:
            # Elsewhere the line makes no difference to the place that is named, and costs time.
            lines = self._line_by_line[path] = self._is_user(path) or not (
                is_standard(path) or "-packages" + os.sep in path
            )
        return lines

    def _hints_in(self, code: types.CodeType) -> _LineHints:
        hints = self._hints.get(code)
        if hints is None:
            hints = self._hints[code] = _hints_of(code, self._lines_are_told(code.co_filename))
        return hints


class _FrameTrace:
    """The trace function of one frame. At a line event the line before it is what just ran."""

    __slots__ = ("_hints", "_line", "_seen", "_switch")

    def __init__(self, switch: _Switch, line: int, hints: _LineHints, seen: int | None) -> None:
        self._switch, self._line, self._hints = switch, line, hints
        self._seen = seen  # the last look of this frame's

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        if not self._switch.on:
            return None
        now = frame.f_lineno
        ran = self._line if event == "line" else now
        lines, elsewhere = self._hints
        self._seen = self._switch.look(frame, ran, lines.get(ran, elsewhere), self._seen)
        self._line = now
        return self


def _hints_of(code: types.CodeType, line_by_line: bool) -> _LineHints:
    """What the lines of a function probably make, by the names that it uses."""
    every = NO_HINT.union(*(HINTS.get(name, NO_HINT) for name in code.co_names))
    if not every or not line_by_line:
        return {}, every
    lines: dict[int, frozenset[Sort]] = {}
    starts = dict(dis.findlinestarts(code))
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        line = starts.get(instruction.offset) or line
        name = instruction.argval
        if isinstance(name, str) and name in HINTS:
            lines[line] = lines.get(line, NO_HINT) | HINTS[name]
    return lines, NO_HINT
