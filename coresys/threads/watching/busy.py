"""How busy this process was: the time for which its threads had a processor, or stood in line for one.

While one of them runs, or waits for a processor that others have, a lock that somebody waits for costs nothing that
the interpreter could have done meanwhile: only one thread runs Python at a time. So a wait is discounted by it.

What the threads have had is one clock of the system's, exact and cheap. What they stood in line for is Linux's, the
second field of ``/proc/self/task/*/schedstat``, at some microseconds a thread; elsewhere it is not known, and a
neighbour that takes the processors away looks like waiting. Threads that ``threading`` does not know of are left out of
the second. A thread takes its own along when it ends, unless it is told of before (``ending``).

Invariant: a state is put in place whole. Of two threads that read at once the later one wins, and loses nothing: its
sums begin with the same state.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from coresys.clock import monotonic

# As in ``coresys.clock``: what a test puts in the place of time's functions does not reach whoever measures it.
processor_time: Callable[[], float] = time.process_time
own_time: Callable[[], float] = time.thread_time
if hasattr(time, "clock_gettime"):
    processor_time = partial(time.clock_gettime, time.CLOCK_PROCESS_CPUTIME_ID)
    own_time = partial(time.clock_gettime, time.CLOCK_THREAD_CPUTIME_ID)

_SHARE = 20  # of the time; one part of so many may go into reading
_LINE = 96  # bytes
_OF_A_THREAD = 6 if sys.platform.startswith("linux") else 0  # in the number of a clock that is one thread's
_clock: Callable[[int], float] = getattr(time, "clock_gettime", lambda number: 0.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading, from ``begin`` to ``end``: how long the process was busy so far, from any beginning; seconds.

    Of two readings what was between the end of one and the beginning of the other: what happened while they were made
    may be among what is taken off, but never among what is told to be lost.
    """

    begin: float
    end: float
    busy: float

    def until(self, later: Sample) -> float:
        """How long it was from here to a later reading."""
        return later.begin - self.end


@dataclass(frozen=True, slots=True)
class _State:
    sample: Sample = Sample(0.0, 0.0, 0.0)
    queued: float = 0.0
    seen: dict[int, float] = field(default_factory=dict)  # of each thread, by its number at the system


class Busy:
    """The readings of one process. ``delay`` reads what one thread stood in line for so far (seconds, None: gone)."""

    def __init__(
        self,
        delay: Callable[[int], float | None] | None = None,
        now: Callable[[], float] = monotonic,
        processor: Callable[[], float] = processor_time,
        threads: Callable[[], list[int]] | None = None,
    ) -> None:
        self._delay = delay or queued_of
        self._now, self._processor = now, processor
        self._threads = threads or _threads
        self._state = _State()
        self._rest = 0.0  # until when the last reading is as good as a new one

    def queued(self) -> dict[int, float]:
        """What each thread had stood in line for at the last reading; never changed."""
        return self._state.seen

    def ending(self, number: int) -> float:
        """The thread that calls, of this number, ends; what it has stood in line for is told, and kept."""
        delay = self._delay(number) or 0.0
        state = self._state
        more = delay - state.seen.get(number, 0.0)
        self._state = _State(state.sample, state.queued + max(more, 0.0), {**state.seen, number: delay})
        return delay

    def read(self, *, fresh: bool = False) -> Sample:
        """A reading; the last one, if that is so young that reading more often would cost more than a twentieth."""
        begin = self._now()
        state = self._state
        if not fresh and begin < self._rest and state.seen:
            return state.sample
        queued, seen = state.queued, {}
        # Also those that were there: who is about to end is not listed any more.
        for number in {*self._threads(), *state.seen}:
            delay = self._delay(number)
            if delay is None:
                continue
            seen[number] = delay
            # One that is new has stood in line since: but at the first reading all are.
            before = state.seen.get(number, 0.0 if state.seen else delay)
            queued += delay - before if delay >= before else delay
        busy = self._processor() + queued
        end = self._now()
        sample = Sample(begin, end, busy)
        self._state = _State(sample, queued, seen)
        self._rest = end + max(0.001, _SHARE * (end - begin))
        return sample


def _threads() -> list[int]:
    found = [thread.native_id for thread in list(threading._active.values())]  # type: ignore[attr-defined]
    return [number for number in found if number]


def worked_by(number: int) -> float | None:
    """Processor time of a thread of this process by its number at the system (seconds); None: gone, or not known.

    To read it brings its account up to date: that of a thread which is running on another processor is late by up to
    10 ms else, in the clock of the process too.
    """
    try:
        return _clock(~number << 3 | _OF_A_THREAD) if _OF_A_THREAD else None
    except (OSError, OverflowError):
        return None


def _load() -> Callable[[int], float | None]:
    if not sys.platform.startswith("linux"):
        return lambda number: 0.0
    try:
        # Holds the GIL: with it let go, each call would let another thread run for 5 ms, if there is one that can.
        libc = ctypes.PyDLL(None)
        opened, read, close = libc.open, libc.read, libc.close
    except (OSError, AttributeError, TypeError):
        return lambda number: 0.0

    def delay(number: int) -> float | None:
        if worked_by(number) is None:
            return None
        descriptor = opened(b"/proc/self/task/%d/schedstat" % number, _FLAGS)
        if descriptor < 0:
            return None
        line = ctypes.create_string_buffer(_LINE)
        length = read(descriptor, line, _LINE)
        close(descriptor)
        fields = line.raw[: max(length, 0)].split()
        return int(fields[1]) / 1e9 if len(fields) > 1 else None

    return delay


_FLAGS = 0o2000000  # for reading, and closed in programs that are started meanwhile
queued_of = _load()

# Without a GIL threads run side by side: whoever waits for a lock could have run, however busy others are.
discounts = getattr(sys, "_is_gil_enabled", lambda: True)()

__all__ = ["Busy", "Sample", "discounts", "own_time", "processor_time", "queued_of", "worked_by"]
