"""What a sampler can read of this process: processor, memory, descriptors, threads, locks, pools.

A source that this system cannot give raises NotImplementedError when it is made. Shares are of one, rates per second,
sizes in bytes; a share or a rate is that of the time since the reading before, so the first one has none (NaN).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from functools import partial
from math import nan
from typing import TYPE_CHECKING

from coresys.measure.fragmentation import share, stranded, stranded_now
from coresys.measure.meters import MemoryMeter, ProcCounts
from coresys.monitoring.growth import LIMIT, judge_growth
from coresys.monitoring.series import Series
from coresys.system_records import GrowthVerdict, LockStatistics, PoolStatistics, ThreadRecord
from coresys.threads.monitor import thread_records

if TYPE_CHECKING:
    from coresys.monitoring.samplers import Source

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def process_usage() -> tuple[float, int, int]:
    """Processor seconds of this process, and its voluntary and involuntary context switches, so far."""
    if resource is None:
        raise NotImplementedError("this system has no getrusage")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_nvcsw, usage.ru_nivcsw


class ProcessSource:
    """Processor time as a share of one core, and context switches per second."""

    names: tuple[str, ...] = ("process.cpu_share", "process.voluntary_switches", "process.involuntary_switches")

    def __init__(self, usage: Callable[[], tuple[float, int, int]] = process_usage, every: float = 0.0) -> None:
        usage()  # may say that it cannot
        self._usage, self.every = usage, every
        self._before, self._then = (0.0, 0, 0), nan

    def read(self, readings: array[float], now: float) -> None:
        """One call of the system's."""
        figures = self._usage()
        seconds = now - self._then
        if seconds > 0:
            cpu, voluntary, involuntary = self._before
            readings[0] = (figures[0] - cpu) / seconds
            readings[1] = (figures[1] - voluntary) / seconds
            readings[2] = (figures[2] - involuntary) / seconds
        self._before, self._then = figures, now

    def close(self) -> None:
        """It holds nothing."""


class MemorySource:
    """Bytes in use, by allocator and in all: what ``coresys.measure.meters`` counts. Garbage is not collected.

    Twice a second: for this the allocators go through their arenas, which is most of what a sample costs. What was
    taken and given back in between is not seen.
    """

    names: tuple[str, ...] = ("memory.in_use", "memory.pymalloc", "memory.malloc", "memory.mapped")

    def __init__(self, every: float = 0.5) -> None:
        self._meter, self.every = MemoryMeter(), every

    def read(self, readings: array[float], now: float) -> None:
        """Takes some 20 us, ten times that where nothing of it is in a cache, and more with large heaps."""
        memory = self._meter.read()
        readings[0], readings[1], readings[2], readings[3] = (
            memory.in_use, memory.pymalloc, memory.malloc, memory.mapped,
        )  # fmt: skip

    def close(self) -> None:
        """Give back the meter's storage, and its descriptor."""
        self._meter.close()


class FragmentationSource:
    """Bytes stranded since the first reading, over bytes that pymalloc and malloc have in use. Gives free pages back to
    the system first, and takes a tenth of a millisecond and more: seldom is often enough."""

    names: tuple[str, ...] = ("memory.fragmentation",)

    def __init__(self, every: float = 10.0) -> None:
        self._meter, self.every = MemoryMeter(), every
        self._before: int | None = None

    def read(self, readings: array[float], now: float) -> None:
        """The first one is the baseline, and 0."""
        memory = self._meter.read()
        after = stranded_now(memory)
        if self._before is None:
            self._before = after
        readings[0] = share(stranded(self._before, after), memory.pymalloc + memory.malloc)

    def close(self) -> None:
        """Give back the meter's storage, and its descriptor."""
        self._meter.close()


class DescriptorSource:
    """Open descriptors, and threads of any kind; once a second."""

    names: tuple[str, ...] = ("process.descriptors", "process.threads")

    def __init__(self, every: float = 1.0) -> None:
        self._counts, self.every = ProcCounts(), every

    def read(self, readings: array[float], now: float) -> None:
        """Two calls of the system's, where it tells numbers at once."""
        readings[0], readings[1] = self._counts.descriptors(), self._counts.threads()

    def close(self) -> None:
        """Close the folders of /proc."""
        self._counts.close()


_THREADS = partial(thread_records, switches=False)


class ThreadSource:
    """What the threads that ``read_threads`` tells of did: processor time of all and of the busiest, as shares of one
    core; time in the run queue of all, in seconds per second. Those that the kernel does not count are left out."""

    names: tuple[str, ...] = ("threads.cpu_share", "threads.busiest_cpu_share", "threads.run_queue_share")

    def __init__(
        self,
        read_threads: Callable[[], Iterable[ThreadRecord]] = _THREADS,
        every: float = 5.0,
    ) -> None:
        self._read_threads, self.every = read_threads, every
        self._before: dict[int, tuple[float, float]] = {}
        self._then = nan

    def read(self, readings: array[float], now: float) -> None:
        """Takes some 10 us for each thread. One that began and ended between two readings is not seen."""
        cpu = queue = busiest = 0.0
        counted = queued = False
        found: dict[int, tuple[float, float]] = {}
        for record in self._read_threads():
            if record.native_id is None or record.cpu_seconds is None:
                continue
            counted, queued = True, queued or record.run_queue_seconds is not None
            figures = found[record.native_id] = (record.cpu_seconds, record.run_queue_seconds or 0.0)
            # One that is new began at 0; a number may have gone to another thread, which counts from 0 too.
            before = self._before.get(record.native_id, (0.0, 0.0))
            used = figures[0] - before[0] if figures[0] >= before[0] else figures[0]
            cpu, busiest = cpu + used, max(busiest, used)
            queue += figures[1] - before[1] if figures[1] >= before[1] else figures[1]
        if counted and now > self._then:
            seconds = now - self._then
            readings[0], readings[1] = cpu / seconds, busiest / seconds
            readings[2] = queue / seconds if queued else nan
        self._before, self._then = found, now

    def close(self) -> None:
        """It holds nothing."""


class LockSource:
    """What the locks that ``read_locks`` tells of were waited for: seconds per second of all and of the worst,
    acquisitions per second that had to wait, and threads that wait now."""

    names: tuple[str, ...] = ("locks.wait_share", "locks.worst_wait_share", "locks.contended", "locks.waiting")

    def __init__(self, read_locks: Callable[[], Iterable[LockStatistics]], every: float = 1.0) -> None:
        self._read_locks, self.every = read_locks, every
        self._before: dict[str, tuple[float, int]] = {}
        self._then = nan

    def read(self, readings: array[float], now: float) -> None:
        """Locks of one name count as one."""
        found: dict[str, tuple[float, int]] = {}
        waiting = 0
        for lock in self._read_locks():
            waited, contended = found.get(lock.name, (0.0, 0))
            found[lock.name] = (waited + lock.waited, contended + lock.contended)
            waiting += lock.waiting
        readings[3] = waiting
        if now > self._then:
            # A lock that nobody has any more takes its figures along: none of them falls below nothing.
            grown = [
                (max(waited - before[0], 0.0), max(contended - before[1], 0))
                for name, (waited, contended) in found.items()
                for before in (self._before.get(name, (0.0, 0)),)
            ]
            seconds = now - self._then
            readings[0] = sum(waited for waited, _ in grown) / seconds
            readings[1] = max((waited for waited, _ in grown), default=0.0) / seconds
            readings[2] = sum(contended for _, contended in grown) / seconds
        self._before, self._then = found, now

    def close(self) -> None:
        """It holds nothing."""


class PoolSource:
    """The worst of the tiers that ``read_pools`` tells of: shares that are of no use, not asked for, idle, and lent."""

    names: tuple[str, ...] = ("pools.external", "pools.internal", "pools.idle", "pools.busy_share")

    def __init__(self, read_pools: Callable[[], Iterable[PoolStatistics]], every: float = 1.0) -> None:
        self._read_pools, self.every = read_pools, every

    def read(self, readings: array[float], now: float) -> None:
        """Four figures that the pools keep ready."""
        for at in range(4):
            readings[at] = 0.0
        for tier in self._read_pools():
            busy = tier.busy / tier.slots if tier.slots else 0.0
            for at, figure in enumerate((tier.external, tier.internal, tier.idle, busy)):
                readings[at] = max(readings[at], figure)

    def close(self) -> None:
        """It holds nothing."""


class GrowthSource:
    """How fast memory grows, in bytes per hour, where that is clear: NaN otherwise. ``verdict`` is the whole answer.

    Judges the last ``window`` seconds of ``series``, which another source fills, against ``limit``. A figure above the
    limit is a verdict ``growing``, one below it ``steady``: so a threshold at the limit is an alarm for growth.
    Once a minute, for what malloc keeps of the lists that are made for it is some KiB at first: six times as often, it
    came to half a MiB/h in the first minutes.
    """

    names: tuple[str, ...] = ("memory.growth_rate",)

    def __init__(self, series: Series, *, limit: float = LIMIT, window: float = 600.0, every: float = 60.0) -> None:
        self._series, self._limit, self._window, self.every = series, limit, window, every
        self.verdict: GrowthVerdict | None = None

    def read(self, readings: array[float], now: float) -> None:
        """Takes about a millisecond for 6,000 readings."""
        self.verdict = self.judge(now)
        if self.verdict.verdict != "unclear":
            readings[0] = self.verdict.rate

    def judge(self, now: float) -> GrowthVerdict:
        """The verdict on the window that ends now."""
        times, values = self._series.readings(since=now - self._window)
        return judge_growth(times, values, limit=self._limit)

    def close(self) -> None:
        """It holds nothing."""


if TYPE_CHECKING:
    _sources: list[type[Source]] = [
        ProcessSource,
        MemorySource,
        FragmentationSource,
        DescriptorSource,
        ThreadSource,
        LockSource,
        PoolSource,
        GrowthSource,
    ]

__all__ = [
    "DescriptorSource",
    "FragmentationSource",
    "GrowthSource",
    "LockSource",
    "MemorySource",
    "PoolSource",
    "ProcessSource",
    "ThreadSource",
    "process_usage",
]
