"""A thread that reads figures of this process at a rate, into series that were made before.

What is read is a source: it names its figures once, and writes each reading into an array that it is given, where NaN
stands for what it cannot tell this time. A source that raises is dropped: its cause is logged once, and its figures
are *not measured* from then on; the others go on.

Nothing is kept of a sample but its numbers, for a sampler that keeps objects is the leak that it looks for (tuples in
a list, five times a second, grow by 4 MiB an hour).
"""

from __future__ import annotations

import logging
import threading
from _thread import allocate_lock
from array import array
from collections.abc import Callable, Iterable
from math import inf, nan
from typing import Protocol

from coresys.clock import Clock, MonotonicClock
from coresys.forks import renew_in_children
from coresys.monitoring.series import Series
from coresys.threads.atomics import AtomicFlag

log = logging.getLogger("coresys.monitoring")

# The longest wait in one: whoever ends the process without close() waits for the thread as long as that.
_LONGEST_WAIT = 0.25


class Source(Protocol):
    """Figures that are read together: ``names`` of them, every ``every`` seconds, with the sample that is nearest to
    that; 0: with each."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def every(self) -> float: ...

    def read(self, readings: array[float], now: float) -> None:
        """Write a reading of each figure, in the order of ``names``; they are NaN before. May raise anything."""

    def close(self) -> None:
        """Give back what it holds. Called once, on the thread that read it or after that has ended."""


class _Reader:
    """A source, with the storage for its readings."""

    __slots__ = ("due", "figures", "none", "readings", "series", "source")

    def __init__(self, source: Source, capacity: int) -> None:
        self.source = source
        self.none = array("d", [nan]) * len(source.names)
        self.readings = self.none[:]
        self.series = {name: Series(capacity) for name in source.names}
        self.figures = tuple((name, each.add) for name, each in self.series.items())
        self.due = -inf


class Closing:
    """An Event for one thread that waits: a lock, which is held until it is set.

    Ten times a second is seldom: whatever is called then is in no cache any more, and takes ten times as long as usual.
    To wait for an Event makes a lock, and takes some dozens of calls; this is one.
    """

    __slots__ = ("_is_set", "_lock")

    def __init__(self) -> None:
        self._is_set = False
        self._lock = allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let the thread go on. May be called twice."""
        if not self._is_set:
            self._is_set = True
            try:
                self._lock.release()
            except RuntimeError:  # another thread was faster
                pass

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Until it is set, or so many seconds; whether it was."""
        return self._is_set or self._lock.acquire(True, seconds)


class Sampler:
    """Reads sources ``rate`` times a second, once it is started.

    ``seen`` is called on the sampling thread with each figure that was read, by name and value, and ``after`` when all
    were: what they raise is logged once, and they go on being called. ``kept`` readings of each figure are kept.
    ``wait`` waits so many seconds, or until the sampler is closed, which it says by returning True.

    The thread is no daemon: it ends with ``close``, at the next sample, or when the main thread has ended. A forked
    child has no such thread, and its descriptors would be the parent's: there the sampler is closed.
    """

    def __init__(
        self,
        sources: Iterable[Source] = (),
        *,
        rate: float = 10.0,
        kept: int = 6000,
        clock: Clock | None = None,
        seen: Callable[[str, float], object] | None = None,
        after: Callable[[], object] | None = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        if not 0 < rate <= 1000:
            raise ValueError(f"a sampler reads up to 1000 times a second, not {rate!r}")
        self._period, self._kept = 1.0 / rate, kept
        self._now = MonotonicClock.now if clock is None else clock.now
        self._seen, self._after = seen, after
        self._closing = Closing()
        self._wait = self._closing.wait if wait is None else wait
        self._series: dict[str, Series] = {}
        self._readers: tuple[_Reader, ...] = ()
        self._not_measured: dict[str, str] = {}
        self._told = AtomicFlag()  # that one of those who are called raised
        self._started = AtomicFlag()
        self._closed = AtomicFlag()
        self._thread: threading.Thread | None = None
        self._main = threading.main_thread()
        for source in sources:
            self.add(source)
        renew_in_children(self, Sampler._after_fork)

    def add(self, source: Source) -> None:
        """Read this too, from now on. Raises ValueError where one of its figures is read already; before ``start``."""
        if self._started:
            raise ValueError("a sampler that runs takes no more sources")
        taken = sorted(self._series.keys() & set(source.names))
        if taken:
            raise ValueError(f"{taken[0]!r} is read by another source")
        reader = _Reader(source, self._kept)
        self._series.update(reader.series)
        self._readers = (*self._readers, reader)

    @property
    def names(self) -> tuple[str, ...]:
        """The figures that are read."""
        return tuple(self._series)

    @property
    def not_measured(self) -> dict[str, str]:
        """Figures that are read no more, and why."""
        return self._not_measured.copy()

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def series(self, name: str) -> Series:
        """What was read of a figure. Raises KeyError where nothing reads it."""
        return self._series[name]

    def start(self) -> None:
        """Begin. Raises RuntimeError where it was started before, or closed."""
        if self._closed or not self._started.set():
            raise RuntimeError("a sampler is started once, and not after it was closed")
        self._main = threading.main_thread()
        self._thread = threading.Thread(target=self._run, name="coresys-sampler", daemon=False)
        self._thread.start()

    def close(self) -> None:
        """End the thread, wait for it (unless it is the one that asks), and let the sources go. May be called twice."""
        first = self._closed.set()
        self._closing.set()
        thread = self._thread
        if thread is not None:
            if thread.ident != threading.get_ident():  # else it lets the sources go when it ends
                thread.join()
        elif first:
            self._let_go()

    def sample(self) -> None:
        """Read what is due, now: what the thread does. For whoever has no thread; not beside it."""
        now = self._now()
        soon = now + self._period / 2  # what is due before the next sample, and not long after this one
        for reader in self._readers:
            if soon >= reader.due:
                self._read(reader, now)
        after = self._after
        if after is not None:
            try:
                after()
            except BaseException as error:
                self._tell(error)

    def _read(self, reader: _Reader, now: float) -> None:
        readings, seen = reader.readings, self._seen
        readings[:] = reader.none
        try:
            reader.source.read(readings, now)
        except BaseException as error:  # SystemExit too: the thread is ours, and reads for others
            self._drop(reader, error)
            return
        reader.due = now + reader.source.every
        for (name, add), value in zip(reader.figures, readings, strict=True):
            add(now, value)
            if value == value and seen is not None:  # not NaN
                try:
                    seen(name, value)
                except BaseException as error:
                    self._tell(error)

    def _drop(self, reader: _Reader, error: BaseException) -> None:
        self._readers = tuple(each for each in self._readers if each is not reader)
        why = f"{type(error).__name__}: {error}"
        for name in reader.source.names:
            self._not_measured[name] = why
        log.warning("%s: not measured any more: %s", ", ".join(reader.source.names), why, exc_info=error)
        self._close_source(reader)

    def _tell(self, error: BaseException) -> None:
        if self._told.set():
            log.error("whoever is to hear of samples raised", exc_info=error)

    def _run(self) -> None:
        try:
            due = self._now()
            while not self._closing.is_set():
                self.sample()
                # From the time it was due: the rate holds. What was missed is not made up for.
                now = self._now()
                due = max(due + self._period, now)
                while True:  # once at least: that is where it sees that it is to end
                    if self._wait(min(due - now, _LONGEST_WAIT)) or not self._main.is_alive():
                        return
                    now = self._now()
                    if now >= due:
                        break
        finally:
            self._let_go()

    def _let_go(self) -> None:
        readers, self._readers = self._readers, ()
        for reader in readers:
            self._close_source(reader)
        self._seen = self._after = None  # of whoever has this: a circle

    def _close_source(self, reader: _Reader) -> None:
        try:
            reader.source.close()
        except Exception as error:
            log.warning("%s: could not be closed", ", ".join(reader.source.names), exc_info=error)

    def _after_fork(self) -> None:
        if self._started and not self._closed:
            why = "this is a forked child: the sampler did not come along"
            self._not_measured.update(dict.fromkeys(self._series, why))
        self._thread, self._readers = None, ()
        self._closing = Closing()
        self._closing.set()
        self._closed = AtomicFlag(True)  # a new one: the other's lock may be held

    def __repr__(self) -> str:
        state = "running" if self.is_running else "closed" if self._closed else "not started"
        return f"<Sampler: {state}, {len(self._series)} figures, {len(self._not_measured)} not measured>"


__all__ = ["Sampler", "Source"]
