"""What came into being since the last look: descriptors, threads, child processes, asyncio tasks of this process.

Each watch is asked after every few bytecodes, so a look that finds nothing has to cost about a microsecond:
the watch asks the kernel for one figure that changes with every birth, and takes a full listing only then.
A watch keeps for each thing the stack it was first seen with, as plain tuples. No frame is kept: that would
keep alive what is being looked for.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Collection, Iterable, MutableMapping
from typing import Any, Literal, NamedTuple, Protocol

from coresys.measure import meters

Place = tuple[str, int, str]
Stack = tuple[Place, ...]  # innermost first

Sort = Literal["descriptor", "thread", "process", "task"]
NO_HINT: frozenset[Sort] = frozenset()

_MAKERS: dict[Sort, tuple[str, ...]] = {
    "descriptor": (
        *("open", "openat", "fdopen", "FileIO", "socket", "socketpair", "accept", "_accept", "pipe", "pipe2"),
        *("dup", "dup2", "epoll", "kqueue", "eventfd", "memfd_create", "timerfd_create", "pidfd_open", "mmap"),
        *("connect", "mkstemp", "TemporaryFile", "openpty", "scandir", "fcntl", "inotify_init", "signalfd"),
    ),
    "thread": (
        *("start_new_thread", "_start_new_thread", "start_joinable_thread", "_start_joinable_thread"),
        "pthread_create",
    ),
    "process": ("fork", "forkpty", "posix_spawn", "posix_spawnp", "fork_exec"),
    "task": ("Task",),
}

#: What a function of such a name makes. It only decides which of two threads is believed to have made something.
HINTS: dict[str, frozenset[Sort]] = {name: frozenset({sort}) for sort, names in _MAKERS.items() for name in names}

#: Of these the maker lets others run, and look, before it has a chance to say that it makes them: Thread.start() waits
#: until the thread has begun. Of others that would only take from a thread what it made under a name of no hint.
SEEN_LATE: frozenset[Sort] = frozenset({"thread"})


class Watch(Protocol):
    """One sort of thing. ``places`` has the stack with which each was first seen, by what identifies it."""

    sort: Sort
    places: MutableMapping[Any, Stack]

    def fresh(self, hint: bool) -> Collection[Any]:
        """What was not there at the last call. With ``hint``, the code that just ran probably made one."""

    def close(self) -> None:
        """Give back what the watch itself holds open."""


class DescriptorWatch:
    """New descriptors, by asking for the two lowest free numbers: the kernel always gives the lowest.

    Two, because a pipe takes two numbers in one call, and the higher may have been closed without moving the lowest.
    Numbers that were asked for (``dup2``, ``F_DUPFD``) escape; with ``exact`` all numbers are listed each time.
    Raises OSError or ImportError where the system can't tell.
    """

    sort: Sort = "descriptor"

    def __init__(self, *, exact: bool = False) -> None:
        import fcntl

        self.places: MutableMapping[int, Stack] = {}
        self._exact = exact
        self._fcntl, self._command = fcntl.fcntl, fcntl.F_DUPFD_CLOEXEC
        self._own = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._known = meters.descriptors()
        self._free = self._two_lowest_free()

    def _two_lowest_free(self) -> tuple[int, int]:
        first = self._fcntl(self._own, self._command, 0)
        try:
            second = self._fcntl(self._own, self._command, first + 1)
            os.close(second)
        finally:
            os.close(first)
        return first, second

    def fresh(self, hint: bool) -> Collection[int]:
        if self._exact:
            return self._listed()
        try:
            free = self._two_lowest_free()
        except OSError:  # all numbers are taken
            return self._listed()
        if free == self._free:
            return ()
        # All below the second are open but the first. Those below the former first were open before.
        new = [number for number in range(self._free[0], free[1]) if number not in self._known and number != free[0]]
        self._known.difference_update(free)
        self._known.update(new)
        self._free = free
        return new

    def _listed(self) -> Collection[int]:
        now = meters.descriptors()
        new, self._known = now - self._known, now
        return new

    def close(self) -> None:
        os.close(self._own)


class ThreadWatch:
    """New threads by kernel id, native ones too; only those that Python knows where there is no /proc."""

    sort: Sort = "thread"

    def __init__(self) -> None:
        self.places: MutableMapping[int, Stack] = {}
        self._known = thread_ids()
        self._directory = _open_directory("/proc/self/task")
        self._links = self._count()
        # The kernel counts threads as links of that directory; some containers' emulations do not. What Python lists
        # comes later than what the kernel counts: a new thread has no number before it runs.
        self._counted = _listed_by_kernel() and self._links == len(self._known) + 2

    def _count(self) -> int:
        return -1 if self._directory is None else os.fstat(self._directory).st_nlink

    def fresh(self, hint: bool) -> Collection[int]:
        links = self._count()
        if links == self._links and self._counted and not hint:
            return ()
        now = thread_ids()
        new = now - self._known
        # A thread may run before the one that started it gets to look: leave it to that one.
        own = threading.get_native_id()
        if own in new:
            new.discard(own)
            now.discard(own)
            links = -1
        self._known, self._links = now, links
        return new

    def close(self) -> None:
        if self._directory is not None:
            os.close(self._directory)


def thread_ids() -> set[int]:
    """Kernel ids of this process's threads, as far as the system tells."""
    try:
        return meters.native_threads()
    except OSError:
        return set(meters.python_threads())


def _listed_by_kernel() -> bool:
    try:
        meters.native_threads()
    except OSError:
        return False
    return True


def _open_directory(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return None


class ChildWatch:
    """New child processes. The kernel lists them by the thread that forked, so no other thread can be blamed.

    Raises OSError where it keeps no such lists.
    """

    sort: Sort = "process"
    _SIZE = 4096

    def __init__(self) -> None:
        self.places: MutableMapping[int, Stack] = {}
        self._files: dict[int, int] = {}
        self._texts: dict[int, bytes] = {}
        self._known = meters.children()
        self._read(threading.get_native_id())

    @property
    def descriptors(self) -> Collection[int]:
        """Descriptors that the watch opened by now: not the user's."""
        return self._files.values()

    def _read(self, thread: int) -> bytes:
        file = self._files.get(thread)
        if file is None:
            file = os.open(f"/proc/self/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC)
            self._files[thread] = file
        return os.pread(file, self._SIZE, 0)

    def fresh(self, hint: bool) -> Collection[int]:
        thread = threading.get_native_id()
        try:
            text = self._read(thread)
        except OSError:  # no number left, or the id is that of a thread that ended
            return ()
        if text == self._texts.get(thread):
            return ()
        self._texts[thread] = text
        now = meters.children() if len(text) == self._SIZE else set(map(int, text.split()))
        new = now - self._known
        self._known |= new
        return new

    def close(self) -> None:
        for file in self._files.values():
            os.close(file)


class TaskWatch:
    """New asyncio tasks of all loops, by the size of asyncio's own registers."""

    sort: Sort = "task"

    def __init__(self) -> None:
        # Weak, so that a task which nobody else holds goes as it would without us.
        self.places: MutableMapping[Any, Stack] = weakref.WeakKeyDictionary()
        self._known: weakref.WeakSet[Any] = weakref.WeakSet(meters.pending_tasks())
        self._size = self._registered()

    @staticmethod
    def _registered() -> int:
        tasks = sys.modules.get("asyncio.tasks")
        if tasks is None:
            return 0
        size = 0
        for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"):
            register = getattr(tasks, name, ())
            size += len(getattr(register, "data", register))  # the WeakSet's own len walks through Python code
        return size

    def fresh(self, hint: bool) -> Collection[Any]:
        size = self._registered()
        if size == self._size and not hint:
            return ()
        self._size = size
        new = [task for task in meters.pending_tasks() if task not in self._known]
        if not new:
            return ()
        own = _current_task()
        if own in new:  # an eager task at work in its first step: whoever creates it will see it
            new.remove(own)
            self._size = -1
        self._known.update(new)
        return new

    def close(self) -> None:
        """Nothing is held open."""


def _current_task() -> Any:
    tasks = sys.modules.get("asyncio.tasks")
    try:
        return tasks.current_task() if tasks is not None else None
    except RuntimeError:  # no loop runs in this thread
        return None


class _Doubtful(NamedTuple):
    """Something that was seen by a thread that perhaps did not make it."""

    look: int
    thread: int
    watch: Watch
    number: int


class Observer:
    """Asks the watches, and keeps for what is new the stack of the thread that asks.

    Another thread may be the one that made it: opening a file lets others run before it returns. So a thread that
    comes back from a call which opens takes over what others, who did not, claimed since that thread's last look, or
    since the last one of the function that calls.
    """

    def __init__(self, watches: Iterable[Watch], our_files: frozenset[str]) -> None:
        self._watches = tuple(watches)
        self.our_files = our_files
        self._lock = threading.Lock()
        self._looks = 0
        self._last_look: dict[int, int] = {}
        self._doubtful: deque[_Doubtful] = deque(maxlen=64)  # older ones than all threads' last looks are settled

    def look(self, frame: Any, line: int | None, hints: frozenset[Sort], since: int | None = None) -> int | None:
        """See what is new, and keep where ``frame`` stands: at ``line``, or where it says itself. Never raises.

        ``hints``: what the code that just ran probably made: since this thread's last look, and of what is seen late
        since the look of the number ``since``, the last one of this frame, if that is known.
        Returns the number of this look, or ``since`` if there was none.
        """
        if frame is None:  # the first function of a thread begins: nothing of the user's stands behind it
            return since
        # Never wait long: a finalizer that runs in another thread's look may itself wait for this thread.
        if not (self._lock.acquire(timeout=0.1 if hints else 0.002)):
            return since
        try:
            self._look(frame, line, hints, since)
            since = self._looks
        except Exception:  # whatever was asked is broken: what it would have found stays without a place
            pass
        finally:
            self._lock.release()
        return since

    def _look(self, frame: Any, line: int | None, hints: frozenset[Sort], since: int | None) -> None:
        self._looks += 1
        thread = threading.get_ident()
        stack: Stack | None = None
        for watch in self._watches:
            hinted = watch.sort in hints
            new = watch.fresh(hinted)
            if not new:
                continue
            if stack is None:
                stack = stack_of(frame, line, self.our_files)
            for thing in new:
                watch.places[thing] = stack
                if not hinted and isinstance(thing, int):  # tasks are made without letting others run
                    self._doubtful.append(_Doubtful(self._looks, thread, watch, thing))
        if hints and self._doubtful:
            stack = stack or stack_of(frame, line, self.our_files)
            self._take_over(thread, hints, stack, self._last_look.get(thread, self._looks))
            if since is not None and hints & SEEN_LATE:
                self._take_over(thread, hints & SEEN_LATE, stack, since)
        self._last_look[thread] = self._looks

    def _take_over(self, thread: int, hints: frozenset[Sort], stack: Stack, since: int) -> None:
        for doubtful in reversed(self._doubtful):
            if doubtful.look <= since:
                break
            if doubtful.thread != thread and doubtful.watch.sort in hints:
                doubtful.watch.places[doubtful.number] = stack


def stack_of(frame: Any, line: int | None, our_files: frozenset[str]) -> Stack:
    """Where a frame and its callers stand, innermost first, down to our own code."""
    places: list[Place] = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename in our_files:
            break
        places.append((code.co_filename, line or frame.f_lineno or code.co_firstlineno, code.co_name))
        line = None
        frame = frame.f_back
    return tuple(places)
