"""The most memory in use, and the most threads at once, while code runs.

``tracemalloc`` knows the exact peak of what Python's allocators hand out, and makes code several times slower. What
C code allocates and maps is sampled each millisecond by a thread, so that a shorter peak of it may be missed: this is
for a process where nobody minds a thread, such as a forked child.
"""

from __future__ import annotations

import _thread
import threading
import tracemalloc
from dataclasses import dataclass
from typing import Any

from coresys.clock import sleep
from coresys.measure import meters
from coresys.measure.reserved import Reserve

_PERIOD = 0.001
_LOOKED_UP_FOR = 2 * 1024 * 1024  # bytes, by which what is mapped has to move


@dataclass(frozen=True, slots=True)
class Peak:
    """``memory``: most bytes in use above the start; ``threads``: most threads at once, those before it included."""

    memory: int
    threads: int


class PeakWatch:
    """Watches from ``start`` to ``stop``. Raises NotImplementedError where memory can't be read."""

    def __init__(self) -> None:
        self._meter = meters.MemoryMeter()
        self._reserve = Reserve(step=_LOOKED_UP_FOR)
        self._reading = _thread.allocate_lock()  # by the sampler, and by the watched thread at the end

    def start(self) -> None:
        """Begin."""
        self._traced_before = tracemalloc.is_tracing()
        if not self._traced_before:
            tracemalloc.start(1)
        self._stop, self._ended = False, _thread.allocate_lock()
        self._ended.acquire()
        running = _thread.allocate_lock()
        running.acquire()
        self._own = 0
        _thread.start_new_thread(self._sample, (running,))
        running.acquire()  # its stack is mapped by now, and not counted
        self._own = 1
        self._threads = meters.thread_count() - self._own
        self._start_of_thread = threading.Thread.start
        watch, start = self, self._start_of_thread

        def counting(thread: Any) -> None:
            start(thread)
            watch._count()

        threading.Thread.start = counting  # type: ignore[method-assign, assignment]  # put back by stop()
        for _ in range(3):
            self._in_use()  # looks up what is reserved, which takes memory, for which more may be mapped
        tracemalloc.reset_peak()
        self._traced = tracemalloc.get_traced_memory()[0]
        readings = (self._in_use() for _ in range(100))  # one is enough, unless other threads map all the time
        base = next((each for each in readings if each is not None), None)
        self._base = self._most = self._meter.read().in_use if base is None else base

    def stop(self) -> Peak:
        """End."""
        traced = tracemalloc.get_traced_memory()[1] - self._traced
        self._look()
        threading.Thread.start = self._start_of_thread  # type: ignore[method-assign]  # as it was
        self._stop = True
        self._ended.acquire()
        if not self._traced_before:
            tracemalloc.stop()
        return Peak(max(traced, self._most - self._base, 0), self._threads)

    def _sample(self, running: Any) -> None:
        running.release()
        try:
            while not self._stop:
                if self._own:
                    self._look()
                sleep(_PERIOD)
        finally:
            self._ended.release()

    def _in_use(self) -> int | None:
        """Bytes, without what is mapped for threads and nothing is kept in: 8 MB of stack for each.

        None where something was mapped or given back between the two readings: they do not belong together.
        """
        with self._reading:
            memory = self._meter.read()
            reserved = self._reserve.at(memory.mapped)
            return memory.in_use - reserved if self._meter.read().mapped == memory.mapped else None

    def _look(self) -> None:
        used = self._in_use()
        if used is not None and used > getattr(self, "_most", used):
            self._most = used
        self._count()

    def _count(self) -> None:
        threads = meters.thread_count() - self._own
        if threads > self._threads:
            self._threads = threads
