"""Watch the locks of a program that is in service, without pytest: ``coresys.threads.watch()``.

A thread of the watch looks at what was noted, every so many seconds: which orders of locks are new, and what waiting
cost. In between nothing runs but what the locks themselves note, as in a test.

What is kept for days is bounded: the notes of an interval go with it, of the orders that came of them the last some
thousand are kept, by place and instance, those between locks of modules and classes apart, so that locks that come and
go by the thousand do not push them out. An order that is still taken is noted in each interval anew.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from coresys.clock import monotonic
from coresys.forks import renew_in_children
from coresys.records import Location
from coresys.threads.watching import chains, deadlocks, words
from coresys.threads.watching.contention import LEAST_LOST, Contention, worst_of
from coresys.threads.watching.graph import Cycle, Edge, Node, cycles
from coresys.threads.watching.install import install, installed_times, uninstall
from coresys.threads.watching.interpreter import InterpreterWatch
from coresys.threads.watching.ledger import Ledger, close_ledger, open_ledger
from coresys.threads.watching.places import edges_of
from coresys.threads.watching.raw import RLock, allocate_lock

if TYPE_CHECKING:
    from coresys.interfaces import IMonitoringManager

log = logging.getLogger("coresys.locks")

EVERY = 10.0  # seconds
SHARE = 0.05
MOST_ORDERS = 4_000  # of each kind
_MOST_TOLD = 1_000
_MOST_BOOKS = 64  # leaves that others begin between two looks: those of a test run
_LEAST = 0.01  # of the time between two looks: what was lost by a lock has to be as much
_SAMPLES = 20  # of how late a thread gets the interpreter, 0.1 s


@dataclass(frozen=True, slots=True)
class LockReport:
    """What the watch has to say. ``str`` of it is all of it, over several lines.

    ``kind`` is "potential_deadlock", "deadlock" (one that happened) or "contention"; ``value`` the share of their time
    that the lock's users lost, and 1 for a deadlock. ``details`` of a deadlock have the stack of each thread.
    """

    kind: Literal["potential_deadlock", "deadlock", "contention"]
    summary: str
    value: float
    details: tuple[str, ...] = ()
    locations: tuple[Location, ...] = ()

    def __str__(self) -> str:
        return "\n".join((self.summary, *(f"  {each}" for each in (*self.details, *self.locations))))


def watch(
    report: Callable[[LockReport], object] | None = None,
    *,
    monitoring: IMonitoringManager | None = None,
    every: float = EVERY,
    contention: float = SHARE,
    breaks: bool = True,
) -> Watch:
    """Watch the locks that this program makes from here on: their order, and what waiting for them costs.

    A context manager; or call ``start()`` where the program starts, before the modules that make locks are imported,
    and ``stop()`` where it ends. ``report`` is called with each potential deadlock once, and with a lock when it begins
    to cost its users more than ``contention`` (a ratio) of their time within ``every`` seconds, by a thread of the
    watch's; with a deadlock that happens at once. That is broken: a DeadlockError is raised in one of its threads, in
    the call that waits. With ``breaks=False`` it is reported, and left as it is. ``monitoring`` is told figures
    (``coresys.locks.*``). With neither, reports are logged as warnings of "coresys.locks". Raises ValueError for an
    ``every`` that is not above 0 seconds.
    """
    return Watch(report, monitoring=monitoring, every=every, contention=contention, breaks=breaks)


class Watch:
    """As ``watch`` makes it. In a forked child it is stopped; there, start it again."""

    def __init__(
        self,
        report: Callable[[LockReport], object] | None = None,
        *,
        monitoring: IMonitoringManager | None = None,
        every: float = EVERY,
        contention: float = SHARE,
        breaks: bool = True,
    ) -> None:
        if not every > 0:
            raise ValueError(f"every is {every!r}: it takes seconds, more than 0")
        self._report, self._monitoring = report, monitoring
        self._every, self._most, self._breaks = every, contention, breaks
        self._set_up()

    def _set_up(self) -> None:
        self._lock = RLock()  # of start, stop and check; re-entrant, for a report may call them
        self._orders = Orders()
        self._told: OrderedDict[Hashable, None] = OrderedDict()
        self._over: set[str] = set()
        self._books: deque[chains.Book] = deque(maxlen=_MOST_BOOKS)
        self._ledger: Ledger | None = None
        self._ended = False
        self._wakes = allocate_lock()  # let go when the thread has something to do
        self._thread: threading.Thread | None = None

    def start(self) -> Watch:
        """Begin; nothing, where it has begun."""
        with self._lock:
            if self._ledger is None:
                install()
                self._hear = self._books.append
                chains.renewed.append(self._hear)
                self._begin_leaf()
                self._books.clear()
                self._ledger = open_ledger()
                self._deadlocks = deadlocks.count()
                self._ended = False
                self._wakes.acquire(False)
                deadlocks.noted.append(self._wake)
                deadlocks.spare(not self._breaks)
                self._thread = threading.Thread(target=self._run, name="coresys-lock-watch", daemon=True)
                self._thread.start()
                renew_in_children(self, Watch._forget)
        return self

    def stop(self) -> None:
        """Look once more, and end. Locks that were made meanwhile go on as they are."""
        with self._lock:
            if self._ledger is None:
                return
            self.check()
            self._close()
            self._ended = True
            self._wake()
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _close(self) -> None:
        if self._ledger is not None:
            close_ledger(self._ledger)
            self._ledger = None
            chains.renewed.remove(self._hear)
            deadlocks.noted.remove(self._wake)
            deadlocks.spare(-(not self._breaks))
            uninstall()

    def _wake(self) -> None:
        """Called in a thread of a deadlock, too, where nothing else may be done."""
        try:
            self._wakes.release()
        except RuntimeError:
            pass  # it is awake, or about to be

    def _forget(self) -> None:
        self._close()
        self._set_up()

    def __enter__(self) -> Watch:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while True:
            self._wakes.acquire(timeout=min(self._every, threading.TIMEOUT_MAX))
            if self._ended:
                return
            self.check()

    def check(self) -> tuple[LockReport, ...]:
        """Look now at what was noted since the last look, and report it; returns what was reported."""
        with self._lock:
            if self._ledger is None:
                return ()
            happened = self._happened()
            # First: who took a lock is told by the leaf, which the other ends.
            contended = self._contended(told=not happened)
            found = (*happened, *self._inversions(), *contended)
        for each in found:
            self._tell(each)
        return found

    def _happened(self) -> list[LockReport]:
        before, self._deadlocks = self._deadlocks, deadlocks.count()
        found = deadlocks.since(before)
        self._count("deadlocks", len(found))
        return [_deadlock(each) for each in found]

    def _inversions(self) -> list[LockReport]:
        if self._begin_leaf():
            books = self._drained()
        else:
            books = [*self._drained(), chains.current]  # others begin the leaves: a test run
        new = [self._orders.add(*edges_of(book)) for book in books]
        if not any(new):
            return []
        reports = []
        for cycle in cycles(self._orders.edges()):
            if self._is_new(frozenset(edge.sites for edge in cycle)):
                reports.append(_inversion(cycle, self._orders.nodes()))
        self._count("potential_deadlocks", len(reports))
        return reports

    def _begin_leaf(self) -> bool:
        """Whether it is ours to begin a leaf: else others who watch too would lose what is on it."""
        if installed_times() > 1:
            return False
        chains.renew()
        return True

    def _drained(self) -> list[chains.Book]:
        books = []
        while self._books:
            books.append(self._books.popleft())
        return books

    def _is_new(self, what: Hashable) -> bool:
        if what in self._told:
            self._told.move_to_end(what)
            return False
        self._told[what] = None
        if len(self._told) > _MOST_TOLD:
            self._told.popitem(last=False)
        return True

    def _contended(self, *, told: bool) -> list[LockReport]:
        """Locks that have begun to cost too much. Where threads waited for one another, that is no contention."""
        assert self._ledger is not None
        ledger, self._ledger = self._ledger, open_ledger()
        close_ledger(ledger)
        seconds = monotonic() - ledger.began
        found = ledger.read() if ledger.accounts and ledger.complete else []
        self._measured(found, seconds)
        if not told:
            return []
        least = max(LEAST_LOST, _LEAST * seconds)
        over = [each for each in worst_of(found) if each.share > self._most and each.blocked >= least]
        new = [each for each in over if str(each.site) not in self._over]
        self._over = {str(each.site) for each in over}
        if not new:
            return []
        interpreter = InterpreterWatch().sample(_SAMPLES).read()
        if self._monitoring is not None:
            self._monitoring.gauge("coresys.locks.interpreter_wait", interpreter.average)
        return [_contention(each, seconds, str(interpreter)) for each in new]

    def _measured(self, found: list[Contention], seconds: float) -> None:
        if self._monitoring is None:
            return
        worst = max((each.share for each in found if each.counts), default=0.0)
        self._monitoring.gauge("coresys.locks.contention", worst)
        self._monitoring.gauge("coresys.locks.longest_wait", max((each.longest for each in found), default=0.0))
        for each in found:
            self._count("waits", each.waits, component=each.name)
            self._count("blocked", each.blocked, component=each.name)

    def _count(self, name: str, value: float, *, component: str = "") -> None:
        if self._monitoring is not None and value:
            self._monitoring.count(f"coresys.locks.{name}", value, component=component)

    def _tell(self, report: LockReport) -> None:
        if self._report is None:
            if self._monitoring is None:
                log.warning("%s", report)
            return
        try:
            self._report(report)
        except Exception:
            log.exception("a report of the watched locks was not taken")


class Orders:
    """Orders of locks, the latest ones: of locks of modules and classes, and of those that come and go."""

    def __init__(self, most: int = MOST_ORDERS) -> None:
        self._most = most
        self._kept: tuple[OrderedDict[Hashable, tuple[Edge, Node, Node]], ...] = OrderedDict(), OrderedDict()

    def add(self, nodes: dict[int, Node], edges: list[Edge]) -> bool:
        """Keep these; whether one of them is new. The name of the thread makes none new."""
        new = False
        for edge in edges:
            ends = nodes[edge.source], nodes[edge.target]
            kept = self._kept[any(node.scope == "instance" for node in ends)]
            known = edge.source, edge.target, edge.sites, edge.gates, edge.permits
            if known in kept:
                kept.move_to_end(known)
                continue
            new = True
            kept[known] = edge, *ends
            if len(kept) > self._most:
                kept.popitem(last=False)
        return new

    def edges(self) -> list[Edge]:
        """All that are kept."""
        return [edge for kept in self._kept for edge, _, _ in kept.values()]

    def nodes(self) -> dict[int, Node]:
        """The locks that they are orders of, by number."""
        return {node.number: node for kept in self._kept for _, *ends in kept.values() for node in ends}


def _inversion(cycle: Cycle, nodes: dict[int, Node]) -> LockReport:
    names = words.names_of(cycle, nodes)
    part = words.part_of(cycle, nodes)
    summary = f"potential deadlock: {', '.join(names.values())} are taken in more than one order"
    return LockReport("potential_deadlock", summary, 1.0, part.details, part.where)


def _deadlock(found: deadlocks.Broken) -> LockReport:
    part = words.part_of_deadlock(found)
    who = " and ".join(each.thread for each in found.threads)
    what = "waits for what never comes" if len(found.threads) == 1 else "wait for one another"
    summary = f"deadlock: {who} {what}"
    return LockReport("deadlock", summary, 1.0, part.details, part.where)


def _contention(lock: Contention, seconds: float, interpreter: str) -> LockReport:
    part = words.part_of_contention(lock)
    summary = f"lock contention: {lock.name} cost its threads {lock.share:.0%} of their time in {seconds:.1f} s"
    return LockReport("contention", summary, lock.share, (*part.details, interpreter), part.where)


__all__ = ["LockReport", "Watch", "watch"]
