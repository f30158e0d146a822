"""Where the threads, descriptors, child processes and asyncio tasks were made that a callable leaves behind.

For a callable that is already known to leave some behind in each call: it is run a few more times under a tracer,
which makes it slower by an order of magnitude. When ``origins`` returns, nothing of the tracer is left, except in a
frame that is still running or suspended. Usable without pytest.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

from coresys.clock import monotonic, sleep
from coresys.frames import current_frames
from coresys.measure import meters, origins_trace, origins_watch
from coresys.measure.origins_trace import is_plumbing, is_standard, tracing
from coresys.measure.origins_watch import (
    ChildWatch,
    DescriptorWatch,
    Observer,
    Stack,
    TaskWatch,
    ThreadWatch,
    Watch,
    stack_of,
    thread_ids,
)
from coresys.records import STANDS_HERE, Location

Kind = Literal["thread", "native thread", "descriptor", "process", "task"]
KINDS: frozenset[Kind] = frozenset(get_args(Kind))

_GRACE = 0.2  # seconds for what is about to end when a run returns
_ORIGIN_DEPTH = 32  # frames that a coroutine remembers of where it was made
_SHOWN = 5  # things of one origin that are described one by one
_OUR_FILES = frozenset({__file__, origins_trace.__file__, origins_watch.__file__})
_NOTES = {
    "thread": "started here",
    "native thread": "started here",
    "descriptor": "opened here",
    "process": "started here",
    "task": "created here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """What one place leaves behind in a run: ``what`` describes the first of its things.

    ``locations`` are the place where it was made and, for threads and tasks, where it stands now; empty if neither
    is known. ``details`` tell how many the place leaves per run (``count``), and describe the others.
    A "native thread" is one of which ``threading`` knows nothing and which runs no Python code.
    """

    kind: Kind
    what: str
    locations: tuple[Location, ...] = ()
    details: tuple[str, ...] = ()
    count: int = 1


def origins(
    run: Callable[[], object],
    *,
    kinds: Collection[str],
    is_user: Callable[[str], bool],
    root_path: str = "",
    repetitions: int = 2,
    seconds: float = 10.0,
    now: Callable[[], float] = monotonic,
) -> list[Leftover]:
    """Run ``run`` so many times, and tell what the last run left behind and where that was made.

    The place is the innermost frame in a file that ``is_user`` accepts; else the innermost outside the standard
    library, or at least outside those parts of it through which all others open and wait; else the innermost.
    Paths below ``root_path`` are told relative to it. No run is begun, and nothing more is traced, after so many
    seconds of the clock ``now``. A run that returns a string has failed with that problem: there is no further run,
    and what the one before it left is told.

    A kind that this system can't tell is left out. Raises ValueError for a kind that does not exist, and whatever
    ``run`` raises.
    """
    unknown = sorted(set(kinds) - KINDS)
    if unknown:
        raise ValueError(f"no such kind: {', '.join(map(repr, unknown))}; there are {', '.join(sorted(KINDS))}")
    naming = _Naming(is_user, root_path)
    until = now() + seconds
    found: list[_Thing] = []
    exact = False
    for _ in range(max(1, repetitions)):
        left = _repetition(run, kinds, naming, until, exact, now)
        if left is None:
            break
        found = left
        # A number that was asked for (dup2) is seen only by listing all of them each time, which is slow.
        exact = any(thing.kind == "descriptor" and not thing.made for thing in found)
        if now() > until:
            break
    return _grouped(found)


@dataclass(frozen=True, slots=True)
class _Thing:
    """One thing that was left."""

    kind: Kind
    what: str
    made: Location | None
    stands: Location | None
    details: tuple[str, ...] = ()


def _repetition(
    run: Callable[[], object],
    kinds: Collection[str],
    naming: _Naming,
    until: float,
    exact: bool,
    now: Callable[[], float],
) -> list[_Thing] | None:
    """What one run leaves; None if it says that it failed."""
    gc.collect()
    with ExitStack() as open_watches:
        subjects = list(_subjects(kinds, open_watches, exact))
        observer = Observer([subject.watch for subject in subjects], _OUR_FILES)
        with tracing(observer, is_user=naming.is_user, until=until, now=now), _remembered_coroutines("task" in kinds):
            failed = isinstance(run(), str)
            if failed:
                return None
            gc.collect()
            _wait_for_what_is_ending(subjects)
        return [thing for subject in subjects for thing in subject.left(naming) if thing.kind in kinds]


@contextmanager
def _remembered_coroutines(wanted: bool) -> Iterator[None]:
    """Let coroutines of this thread remember where they were made."""
    if not wanted:
        yield
        return
    before = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(max(before, _ORIGIN_DEPTH))
    try:
        yield
    finally:
        sys.set_coroutine_origin_tracking_depth(before)


def _wait_for_what_is_ending(subjects: Iterable[_Subject]) -> None:
    waiting = [subject for subject in subjects if subject.may_be_ending]
    until = monotonic() + _GRACE
    while any(subject.any_left() for subject in waiting) and monotonic() < until:
        sleep(0.005)


# -- what can be left ---------------------------------------------------------------------------------------------


class _Subject:
    """One sort of thing: what there was before, what is there now, and how to describe it."""

    may_be_ending = False
    watch: Watch

    def any_left(self) -> bool:
        raise NotImplementedError

    def left(self, naming: _Naming) -> Iterable[_Thing]:
        raise NotImplementedError


def _subjects(kinds: Collection[str], open_watches: ExitStack, exact: bool) -> Iterator[_Subject]:
    """Subjects for the kinds that this system can tell."""
    wanted: dict[Callable[[], _Subject], bool] = {
        _Tasks: "task" in kinds,
        _Processes: "process" in kinds,
        _Threads: "thread" in kinds or "native thread" in kinds,
        lambda: _Descriptors(exact): "descriptor" in kinds,  # last: the others' watches open some
    }
    subjects = []
    for make, want in wanted.items():
        if not want:
            continue
        try:
            subject = make()
        except (OSError, ImportError, AttributeError, ValueError):
            continue
        open_watches.callback(subject.watch.close)
        subjects.append(subject)
    for subject in subjects:
        if isinstance(subject, _Descriptors):
            subject.not_the_users = [each.watch for each in subjects if isinstance(each.watch, ChildWatch)]
    yield from subjects


class _Descriptors(_Subject):
    def __init__(self, exact: bool) -> None:
        self.watch = DescriptorWatch(exact=exact)
        self.not_the_users: list[Any] = []
        self._before = meters.descriptors()

    def _left(self) -> list[int]:
        ours = {number for watch in self.not_the_users for number in watch.descriptors}
        return sorted(meters.descriptors() - self._before - ours)

    def any_left(self) -> bool:
        return bool(self._left())

    def left(self, naming: _Naming) -> Iterable[_Thing]:
        for number in self._left():
            made = naming.made("descriptor", self.watch.places.get(number, ()))
            yield _Thing("descriptor", meters.describe_descriptor(number), made, None)


class _Threads(_Subject):
    may_be_ending = True

    def __init__(self) -> None:
        self.watch = ThreadWatch()
        self._before = thread_ids()

    def any_left(self) -> bool:
        return bool(thread_ids() - self._before)

    def left(self, naming: _Naming) -> Iterable[_Thing]:
        known = meters.python_threads()
        raw = _raw_threads(known.values())
        frames = current_frames()
        try:
            for number in sorted(thread_ids() - self._before):
                stack = self.watch.places.get(number, ())
                thread = known.get(number)
                ident = thread.ident if thread is not None else raw.get(number)
                if ident is None:
                    yield _Thing("native thread", _native_name(number), naming.made("native thread", stack), None)
                    continue
                what, details = _describe_thread(thread) if thread is not None else (_native_name(number), ())
                stands = naming.stands(stack_of(frames.get(ident), None, _OUR_FILES))
                yield _Thing("thread", what, naming.made("thread", stack), stands, details)
        finally:
            frames.clear()


def _raw_threads(known: Collection[threading.Thread]) -> dict[int, int]:
    """Idents of threads that run Python code, but that ``threading`` does not know, by kernel id."""
    idents: dict[int, int] = {}
    clock_of = getattr(time, "pthread_getcpuclockid", None)
    if clock_of is None or sys.platform != "linux":
        return idents
    for ident in current_frames().keys() - {thread.ident for thread in known}:
        if ident in current_frames():  # the C library reads freed memory for a thread that has ended
            idents[~(clock_of(ident) >> 3)] = ident  # how Linux numbers the clocks of threads
    return idents


def _describe_thread(thread: threading.Thread) -> tuple[str, tuple[str, ...]]:
    details = ["daemon"] if thread.daemon else []
    target = getattr(thread, "_target", None)
    if isinstance(thread, threading.Timer):
        target = thread.function
        details.append(f"a timer of {thread.interval:g} s")
    if target is None:
        work = f"{type(thread).__qualname__}.run"
    else:
        work = getattr(target, "__qualname__", None) or type(target).__qualname__
    return f"thread {thread.name!r} target {work}()", tuple(details)


def _native_name(number: int) -> str:
    name = meters.thread_name(number)
    return f"thread {number}" if name is None else f"thread {number} {name}"


class _Processes(_Subject):
    may_be_ending = True

    def __init__(self) -> None:
        self.watch = ChildWatch()
        self._before = meters.children()

    def any_left(self) -> bool:
        return bool(meters.children() - self._before)

    def left(self, naming: _Naming) -> Iterable[_Thing]:
        for pid in sorted(meters.children() - self._before):
            made = naming.made("process", self.watch.places.get(pid, ()))
            yield _Thing("process", meters.describe_process(pid), made, None, _multiprocessing_name(pid))


def _multiprocessing_name(pid: int) -> tuple[str, ...]:
    # Not active_children(): that waits for those that have ended.
    module = sys.modules.get("multiprocessing.process")
    for process in tuple(getattr(module, "_children", ())):
        if getattr(getattr(process, "_popen", None), "pid", None) == pid:
            return (f"multiprocessing {process.name!r}",)
    return ()


class _Tasks(_Subject):
    def __init__(self) -> None:
        self.watch = TaskWatch()
        self._before: weakref.WeakSet[Any] = weakref.WeakSet(meters.pending_tasks())

    def _left(self) -> list[Any]:
        return [task for task in meters.pending_tasks() if task not in self._before]

    def any_left(self) -> bool:
        return bool(self._left())

    def left(self, naming: _Naming) -> Iterable[_Thing]:
        return [_describe_task(task, self.watch.places.get(task, ()), naming) for task in self._left()]


def _describe_task(task: Any, stack: Stack, naming: _Naming) -> _Thing:
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", None) or type(coroutine).__qualname__
    remembered = _until_our_code(getattr(coroutine, "cr_origin", None) or ())
    # Made by a loop in another thread, a task is first seen by whoever waits just then: that thread's stack says less
    # than where the coroutine was made.
    waiting = bool(stack) and os.path.basename(stack[0][0]) == "threading.py"
    made = naming.made("task", *((remembered, stack) if waiting else (stack, remembered)))
    code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
    if made is None and code is not None:
        made = naming.location((code.co_filename, code.co_firstlineno, code.co_name), "defined here")
    stands = naming.stands(_awaiting(coroutine))
    return _Thing("task", f"task {task.get_name()!r} coro {name}()", made, stands)


def _until_our_code(stack: Stack) -> Stack:
    ends = next((at for at, place in enumerate(stack) if place[0] in _OUR_FILES), len(stack))
    return stack[:ends]


def _awaiting(awaitable: Any) -> Stack:
    """Where a suspended coroutine stands, and what it waits for, and what that waits for: innermost first."""
    places: list[tuple[str, int, str]] = []
    seen: set[int] = set()
    while awaitable is not None and id(awaitable) not in seen:
        seen.add(id(awaitable))
        for prefix, awaited in (("cr_", "await"), ("gi_", "yieldfrom"), ("ag_", "await")):
            frame = getattr(awaitable, f"{prefix}frame", None)
            if frame is not None:
                code = frame.f_code
                places.append((code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_name))
                awaitable = getattr(awaitable, prefix + awaited, None)
                break
        else:
            break
    return tuple(reversed(places))


_WATCHING = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "threads", "watching") + os.sep


# -- which of the places is named ---------------------------------------------------------------------------------


class _Naming:
    """The rule by which one place of a stack is named for all of it."""

    def __init__(self, is_user: Callable[[str], bool], root_path: str) -> None:
        self.is_user = is_user
        self._root = root_path.rstrip("/\\")

    def made(self, kind: Kind, *stacks: Stack) -> Location | None:
        """Where something was made."""
        return self._first(stacks, _NOTES[kind])

    def stands(self, stack: Stack) -> Location | None:
        """Where something stands."""
        return self._first((stack,), STANDS_HERE)

    def _first(self, stacks: Iterable[Stack], note: str) -> Location | None:
        """The user's innermost place in any of the stacks; only if there is none, one of others' code.

        Never one of the watch of locks, through which whoever waits for one does so.
        """
        stacks = [tuple(place for place in stack if not place[0].startswith(_WATCHING)) for stack in stacks]
        for accepts in (self.is_user, _is_third_party, _is_not_plumbing, _is_any):
            for stack in stacks:
                place = next((place for place in stack if accepts(place[0])), None)
                if place is not None:
                    return self.location(place, note)
        return None

    def location(self, place: tuple[str, int, str], note: str) -> Location:
        path, line, function = place
        below = path[: len(self._root) + 1] in (f"{self._root}/", f"{self._root}\\")
        return Location(path[len(self._root) + 1 :] if self._root and below else path, line, function, note)


def _is_third_party(path: str) -> bool:
    return not is_standard(path)


def _is_not_plumbing(path: str) -> bool:
    return not is_plumbing(path)


def _is_any(path: str) -> bool:
    return True


def _grouped(things: Iterable[_Thing]) -> list[Leftover]:
    """One leftover for each place and kind, those of which there are most first."""
    groups: dict[object, list[_Thing]] = {}
    for number, thing in enumerate(things):
        place = number if thing.made is None else (thing.made.path, thing.made.line)
        groups.setdefault((thing.kind, place), []).append(thing)
    # Stable: of places with equally many, the first seen. Where threads race, a few are seen a line too late.
    return [_leftover(group) for group in sorted(groups.values(), key=len, reverse=True)]


def _leftover(group: list[_Thing]) -> Leftover:
    first, others = group[0], group[1:]
    details = [f"{len(group)} per run", *first.details]
    details += [thing.what for thing in others[: _SHOWN - 1]]
    if len(group) > _SHOWN:
        details.append(f"and {len(group) - _SHOWN} more")
    locations = tuple(place for place in (first.made, first.stands) if place is not None)
    return Leftover(kind=first.kind, what=first.what, locations=locations, details=tuple(details), count=len(group))
