"""What a first run leaves behind, cheaply: a hint of whom to repeat, and evidence that there is nothing large.

One reading a test: what stands after one test is what stood before the next. What happens between them (pytest's
records, logging) is far below the resolution, and the counted things are only a hint here.
"""

from __future__ import annotations

import threading
from collections import deque
from statistics import median
from typing import NamedTuple

from coresys.clock import monotonic, sleep
from coresys.measure import fragmentation, meters
from coresys.measure.malloccache import CacheReader
from coresys.measure.reserved import Reserve
from coresys.measure.system import FAILURES, System

# A first run keeps 2.5 to 5 KB by itself: pytest's records, bytecode and inline caches, small first uses.
MEMORY_RESOLUTION = 16 * 1024

# A thread maps 8 MB for its stack and 64 MB as a reserve of malloc, which stay when it is gone, and are not in use.
# What of the address space is such takes 0.1 ms to look up: only when what is mapped changed by so much, either way.
_LOOKED_UP_FOR = MEMORY_RESOLUTION


_ENDING = 0.1  # seconds

_LATELY = 64  # tests
_FEWEST = 24
_STANDS_OUT = 3  # times the median


class Resolution:
    """What a test must leave after one run to stand out, in this suite and lately. In bytes.

    Where tests drop cycles, of mocks or of objects that know each other, nearly all of them leave garbage that waits
    for the collector, which we don't run in the tests' process. To suspect them all would tell nobody anything, and
    those that came first would get all of the effort. It moves in powers of two; never below ``MEMORY_RESOLUTION``.
    """

    def __init__(self) -> None:
        self.bytes = MEMORY_RESOLUTION
        self._lately: deque[int] = deque(maxlen=_LATELY)
        self._seen = 0

    def take(self, left: int) -> None:
        """A test left so much."""
        self._lately.append(left)
        self._seen += 1
        if self._seen >= _FEWEST and self._seen % 8 == 0:
            usual = _STANDS_OUT * median(self._lately)
            self.bytes = MEMORY_RESOLUTION
            while self.bytes < usual:
                self.bytes *= 2


class Counts(NamedTuple):
    """Readings of one moment; the order of the first five is that of ``measures.GROWTH``."""

    memory: int
    threads: int
    descriptors: int
    processes: int
    tasks: int
    stranded: int

    def since(self, before: Counts) -> Counts:
        """What was added after ``before``."""
        return Counts(
            self.memory - before.memory,
            self.threads - before.threads,
            self.descriptors - before.descriptors,
            self.processes - before.processes,
            self.tasks - before.tasks,
            self.stranded - before.stranded,
        )


class Screen:
    """Reads the counters of this process; keeps four descriptors open, made before the first test."""

    def __init__(self) -> None:
        self._memory: meters.MemoryMeter | None = None
        self._cached: CacheReader | None = None
        self._counts: meters.ProcCounts | None = None
        self._children: meters.ProcFile | None = None
        self._pid = 0
        self._reserve = Reserve(step=_LOOKED_UP_FOR)

    def read(self) -> Counts | None:
        """The counters now, or None where they can't be had."""
        try:
            if self._pid != System.getpid():
                self._open()
            assert self._memory is not None
            assert self._cached is not None
            assert self._counts is not None
            memory = self._memory.read()
            children = 0 if self._children is None else len(self._children.read().split())
            return Counts(
                memory.in_use - self._cached.read() - self._reserve.at(memory.mapped),
                self._counts.threads(),
                self._counts.descriptors(),
                children,
                len(meters.pending_tasks()),
                memory.pool_free + memory.chunk_free,
            )
        except FAILURES:
            # No such counters here, or a test closed our descriptors: the hint is missing, until they are opened anew.
            self.close()
            return None

    def read_after(self, before: Counts | None) -> Counts | None:
        """The counters now; threads that Python has seen the end of get the moment that the system needs to end them.

        Somebody who joined a thread left none; the kernel lists it for some microseconds more, and for milliseconds
        where the processors are busy.
        """
        counts = self.read()
        if counts is None or before is None or counts.threads <= before.threads:
            return counts
        until = monotonic() + _ENDING
        while counts.threads > max(before.threads, threading.active_count()) and monotonic() < until:
            sleep(0.0005)
            counts = self.read() or counts
        return counts

    def heap(self) -> int | None:
        """Bytes that the allocators have handed out: without mappings, of which the first thread makes 70 MiB."""
        if self._memory is None or self._cached is None or self._pid != System.getpid():
            return None  # nor is anything opened: it is asked while the descriptors of a fixture are told apart
        try:
            memory = self._memory.read()
        except FAILURES:
            return None
        return memory.pymalloc + memory.malloc - self._cached.read()

    def stranded(self) -> int | None:
        """Free bytes that a trim does not give back, after one: it takes longer than all the rest."""
        if self._memory is None or self._pid != System.getpid():
            return None
        try:
            return fragmentation.stranded_now(self._memory.read())
        except FAILURES:
            return None

    def close(self) -> None:
        """Give up what is kept between readings; another reading opens it anew."""
        if self._pid == System.getpid():
            for each in (self._memory, self._counts, self._children):
                if each is not None:
                    each.close()
        self._memory, self._cached, self._counts, self._children, self._pid = None, None, None, None, 0

    def _open(self) -> None:
        self._pid = System.getpid()
        self._memory, self._cached = meters.MemoryMeter(), CacheReader()
        self._counts = meters.ProcCounts()
        try:
            # Children of the main thread only: a child made by another thread is seen when the test is repeated.
            self._children = meters.ProcFile(f"/proc/self/task/{threading.main_thread().native_id}/children")
        except NotImplementedError:
            self._children = None
