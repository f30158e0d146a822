"""Times and shares of a thread manager: each function makes, or is, one operation that is timed, beside one of the same
nature that the machine does in its place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from validation_suites.resources.measures import taken_until_refused, whole
from validation_suites.running import PATIENCE, Runner
from validation_suites.threads.racing import MakesLocks, until

if TYPE_CHECKING:
    from coresys.interfaces import IResourceManager, IThreadManager
    from coresys.system_records import LockStatistics

_TASKS = Path("/proc/self/task")


# -- one operation ---------------------------------------------------------------------------------------------------


def start_seconds(make: Callable[[], IThreadManager]) -> float:
    """From the first task that a fresh manager is given to the first instruction of it: a thread is started for it."""
    manager = make()
    try:
        began = perf_counter()
        return max(manager.submit(perf_counter).result(PATIENCE) - began, 0.0)
    finally:
        manager.shutdown()


def standard_start_seconds() -> float:
    """The same of an executor of the standard library."""
    with ThreadPoolExecutor(1) as pool:
        began = perf_counter()
        return max(pool.submit(perf_counter).result(PATIENCE) - began, 0.0)


def switch_seconds(manager: IThreadManager | ThreadPoolExecutor) -> float:
    """One way from the calling thread to a worker that waits for work."""
    began = perf_counter()
    return max(manager.submit(perf_counter).result(PATIENCE) - began, 0.0)


class PingPong:
    """Two threads that wake each other by two raw locks: each call is one way there, in seconds."""

    def __init__(self) -> None:
        self._there, self._back = threading.Lock(), threading.Lock()
        self._there.acquire()
        self._back.acquire()
        self._at: float | None = 0.0
        self._runner = Runner(self._run)

    def _run(self) -> None:
        while True:
            self._there.acquire()
            if self._at is None:
                return
            self._at = perf_counter()
            self._back.release()

    def __call__(self) -> float:
        began = perf_counter()
        self._there.release()
        self._back.acquire()
        return max((self._at or 0.0) - began, 0.0)

    def end(self) -> None:
        """No more."""
        self._at = None
        self._there.release()
        self._runner.join(PATIENCE)


class Bursts:
    """What so many workers do at one time, once each; a call tells the seconds of one of them, the next of another."""

    def __init__(self, manager: IThreadManager, operation: Callable[[], object], workers: int) -> None:
        self._manager, self._operation, self._workers = manager, operation, workers
        self._seconds: list[float] = []

    def __call__(self) -> float:
        if not self._seconds:
            together = threading.Barrier(self._workers)
            several = [self._manager.submit(self._one, together) for _ in range(self._workers)]
            self._seconds = [future.result(PATIENCE) for future in several]
        return self._seconds.pop()

    def _one(self, together: threading.Barrier) -> float:
        together.wait(PATIENCE)
        began = perf_counter()
        self._operation()
        return perf_counter() - began


def lease_and_release(resources: IResourceManager, owner: str, size: int = 4096) -> None:
    """One buffer, taken and given back."""
    with resources.lease(size, owner=owner):
        pass


# -- ratios ----------------------------------------------------------------------------------------------------------


def overhead(lock: AbstractContextManager[object], rounds: int = 15, turns: int = 2_000) -> float:
    """How many times as long a free lock takes as a raw one, taken and let go; in processor time, in turns."""
    raw = threading.Lock()

    def blocks(one: Any) -> float:
        began = time.thread_time()
        for _ in range(turns):
            with one:
                pass
        return time.thread_time() - began

    def empty() -> float:
        began = time.thread_time()
        for _ in range(turns):
            pass
        return time.thread_time() - began

    blocks(lock), blocks(raw)  # once for caches
    seen = [(blocks(lock), blocks(raw), empty()) for _ in range(rounds)]
    own, theirs, nothing = (median(row[at] for row in seen) for at in range(3))
    return (own - nothing) / max(theirs - nothing, 1e-9)


# -- the processor ---------------------------------------------------------------------------------------------------


def cpu_seconds(thread: threading.Thread) -> float:
    """What a thread has had of the processors, by the kernel's clock of it."""
    if thread.ident is None or not thread.is_alive():
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def can_tell_processor_time() -> bool:
    """Whether there is such a clock."""
    return hasattr(time, "pthread_getcpuclockid")


def cpu_shares(groups: Iterable[Iterable[threading.Thread]], load: Callable[[], float]) -> list[float]:
    """What each group of threads had of one core while ``load`` ran, less the processor time that ``load`` says its own
    tasks took: all of those are run by the first group."""
    several = [list(group) for group in groups]
    before, began = [sum(map(cpu_seconds, group)) for group in several], perf_counter()
    tasks = load()
    after, wall = [sum(map(cpu_seconds, group)) for group in several], perf_counter() - began
    used = [new - old - (tasks if not at else 0.0) for at, (old, new) in enumerate(zip(before, after, strict=True))]
    return [max(each, 0.0) / wall for each in used]


def no_load(seconds: float) -> float:
    """Nothing, for so long."""
    time.sleep(seconds)
    return 0.0


def task_load(manager: IThreadManager, seconds: float, pause: float = 0.005) -> float:
    """A load as of a service, some tasks each few milliseconds, each of a millisecond; the processor time that these
    tasks took."""
    used: list[float] = []

    def task() -> None:
        began = time.thread_time()
        while time.thread_time() - began < 0.001:
            sum(range(50))
        used.append(time.thread_time() - began)

    futures = []
    ended = time.monotonic() + seconds
    while time.monotonic() < ended:
        futures += [manager.submit(task) for _ in range(2)]
        time.sleep(pause)
    for future in futures:
        future.result(PATIENCE)
    return sum(used)


def start_all_workers(manager: IThreadManager, workers: int) -> None:
    """Have each do something at the same time, so that all are started; the last may be for system tasks only."""
    together = threading.Barrier(workers)
    for _ in range(workers - 1):
        manager.submit(together.wait, PATIENCE)
    until(lambda: manager.statistics().busy >= workers - 1)
    manager.submit_with(partial(together.wait, PATIENCE), priority="system").result(PATIENCE)
    until(lambda: manager.statistics().busy == 0)


# -- contention ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Idle:
    """Of threads that always have something to do: the seconds for which none of them went on. That is what they lost
    by locks; where several are to blame, by all of them together. They are between ``least`` and ``most``: threads
    stand in line for a processor one after the other, or at the same time, which no sum of theirs tells."""

    wall: float
    least: float
    most: float


def can_tell_idleness() -> bool:
    """Whether the kernel says how long threads stood in line for a processor: without, a busy machine looks idle."""
    return bool(_queued())


def _queued() -> dict[str, float]:
    """The seconds that each thread of this process has stood in line; empty where that is not told."""
    found = {}
    try:
        for task in _TASKS.iterdir():
            try:
                found[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
            except (FileNotFoundError, ProcessLookupError):  # it has ended
                continue
    except (OSError, IndexError, ValueError):
        return {}
    return found


def idleness(work: Callable[[int], object], threads: int = 8, seconds: float = 0.4) -> Idle:
    """Call ``work(number)`` in so many threads again and again; what share of the time nothing of this process ran, nor
    stood in line for a processor.

    What work does in between must not wait for anything: then who does not run waits for a lock, for the interpreter
    (which somebody has then, and runs), or for a processor. So no lock has to be known, nor what it is made of.
    """
    together = threading.Barrier(threads + 1)
    ended = threading.Event()

    def run(number: int) -> None:
        together.wait(PATIENCE)
        is_over = ended.is_set
        while not is_over():
            work(number)

    runners = [Runner(partial(run, number)) for number in range(threads)]
    together.wait(PATIENCE)
    queued, ran, began = _queued(), time.process_time(), perf_counter()
    time.sleep(seconds)
    # Read before they end: an account of a thread is gone with it.
    later, ran, wall = _queued(), time.process_time() - ran, perf_counter() - began
    ended.set()
    for runner in runners:
        runner.join(PATIENCE)
    for runner in runners:
        if runner.problem is not None:
            raise RuntimeError(f"the load failed: {runner.problem}")
    lines = [later[task] - queued.get(task, 0.0) for task in later]
    return Idle(wall, max(wall - ran - sum(lines), 0.0), max(wall - ran - max(lines, default=0.0), 0.0))


def think(turns: int = 60) -> int:
    """What a thread does between two calls of a manager."""
    total = 0
    for number in range(turns):
        total += number
    return total


@dataclass(frozen=True, slots=True)
class Contention:
    """The share of their time that threads lost by locks, all locks together: between ``least`` and ``most``, 0 where
    that was less than 20 ms in all. ``reference``: what threads that only think lose, in the same moments, at most:
    this machine keeps that from anybody."""

    least: float
    most: float
    reference: float


LEAST_LOST = 0.02
"""Seconds, as of the measure ``locks.contention``: below, a share is a few switches between threads."""


def contention(work: Callable[[int], object], rounds: int = 3, seconds: float = 0.3) -> Contention:
    """As ``idleness``, in turns with threads that do nothing but think; the medians of both."""
    own, theirs = [], []
    for _ in range(rounds):
        theirs.append(idleness(lambda number: think(), seconds=seconds))
        own.append(idleness(work, seconds=seconds))
    reference = median(each.most / each.wall for each in theirs)
    least, most = ([each.least for each in own], [each.most for each in own])
    walls = [each.wall for each in own]
    return Contention(_share(least, walls), _share(most, walls), reference)


def _share(lost: Sequence[float], walls: Sequence[float]) -> float:
    if sum(lost) < LEAST_LOST:
        return 0.0
    return median(each / wall for each, wall in zip(lost, walls, strict=True))


# -- whether readings are right ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure as it is known, and as it was read; ``read`` None: it was not."""

    what: str
    known: float
    read: float | None

    @property
    def error(self) -> float:
        """Relative to what is known; 1 where nothing was read, though it could be."""
        return 1.0 if self.read is None else abs(self.read - self.known) / self.known


class _Loaded:
    """A thread with a load that is known: processor time that it takes, or sleeps, each of them one switch."""

    def __init__(self, load: Callable[[], None], known: Callable[[], float]) -> None:
        self._load, self._known = load, known
        self._go, self._leave = threading.Event(), threading.Event()
        self._done, self._begun = threading.Event(), threading.Event()
        self.known = 0.0
        self._runner = Runner(self._run)
        self._begun.wait(PATIENCE)

    def _run(self) -> None:
        self.ident = threading.get_ident()
        self._begun.set()
        self._go.wait()
        before = self._known()
        self._load()
        self.known = self._known() - before
        self._done.set()
        self._leave.wait()

    def begin(self) -> None:
        """Load it, and return when that is done; the thread is there still."""
        self._go.set()
        self._done.wait(PATIENCE)

    def end(self) -> None:
        self._leave.set()
        self._runner.join(PATIENCE)


def _busy(seconds: float) -> None:
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        sum(range(100))


def _sleeps(number: int) -> None:
    for _ in range(number):
        time.sleep(0.0002)


def own_switches() -> float | None:
    """How often the calling thread has left the processor by itself; None where that is not counted."""
    try:
        import resource

        return float(resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw)
    except (ImportError, AttributeError):  # Windows; macOS
        return None


def involuntary_switches() -> int | None:
    """How often threads of this process were made to leave a processor; None where that is not counted."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def thread_readings(manager: IThreadManager, cpu: float = 0.3, switches: int = 300) -> list[Reading]:
    """What the manager says of a thread that takes processor time, and of one that sleeps so often."""
    readings = []
    for what, field, load, known in (
        ("processor time", "cpu_seconds", partial(_busy, cpu), time.thread_time),
        ("context switches", "voluntary_switches", partial(_sleeps, switches), lambda: own_switches() or 0.0),
    ):
        loaded = _Loaded(load, known)
        try:
            before = _of_thread(manager, loaded.ident, field)
            loaded.begin()
            after = _of_thread(manager, loaded.ident, field)
        finally:
            loaded.end()
        read = None if before is None or after is None else after - before
        readings.append(Reading(what, loaded.known, read))
    return readings


def _of_thread(manager: IThreadManager, ident: int, field: str) -> float | None:
    for thread in manager.threads():
        if thread.ident == ident:
            found: float | None = getattr(thread, field)
            return found
    return None


def lock_readings(manager: MakesLocks, statistics: Callable[[str], Any], rank: str, waits: int = 5) -> list[Reading]:
    """How often a lock was taken, waited for, and for how long: as those who did it know, and as it is told."""
    lock, beside = manager.lock(rank, name="waited for"), manager.lock(rank, name="never waited for")
    waited = 0.0
    for _ in range(waits):
        held, let_go = threading.Event(), threading.Event()

        def hold(held: threading.Event = held, let_go: threading.Event = let_go) -> None:
            with lock:
                held.set()
                let_go.wait(PATIENCE)

        runner = Runner(hold)
        held.wait(PATIENCE)
        timer = threading.Timer(0.05, let_go.set)
        timer.start()
        began = perf_counter()
        with lock:
            waited += perf_counter() - began
        timer.join()
        runner.join(PATIENCE)
    with beside:
        pass
    told, other = statistics("waited for"), statistics("never waited for")
    if told is None or other is None:
        return [Reading(f"the figures of lock {name}", 1.0, None) for name in ("waited for", "never waited for")]
    return [
        Reading("acquisitions of a lock", 2.0 * waits, told.acquired),
        Reading("waits for a lock", waits, told.contended),
        Reading("time waited for a lock", waited, told.waited),
        Reading("acquisitions of a free lock", 1.0, other.acquired),
        Reading("waits for a free lock, and one", 1.0, other.contended + 1),
    ]


def statistics_of(manager: IThreadManager, name: str) -> LockStatistics | None:
    """Of the lock of that name; None where the manager tells of none."""
    return next((each for each in manager.locks() if each.name == name), None)


def lease_readings(resources: IResourceManager, number: int = 20, size: int = 4096) -> list[Reading]:
    """Buffers that are lent: as many as were taken."""
    size = whole(resources, size)
    before = sum(pool.busy for pool in resources.statistics())
    leases = taken_until_refused(resources, size, "readings", most=number)
    number = len(leases)
    busy = sum(pool.busy for pool in resources.statistics()) - before
    usage = resources.usage("readings")
    for lease in leases:
        lease.release()
    return [
        Reading("leases in the pools", number, busy),
        Reading("leases of the owner", number, usage.leases),
        Reading("bytes of the owner", number * size, usage.leased),
    ]
