"""What is measured of the locks that a test takes: their order, deadlocks that happened, and what waiting costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from coresys import Reading
from coresys.threads.watching import chains, deadlocks, words
from coresys.threads.watching.contention import Contention, worst_of
from coresys.threads.watching.graph import Cycle, Order, search
from coresys.threads.watching.install import installed
from coresys.threads.watching.ledger import MOST_ENDED, Ledger, close_ledger, open_ledger
from coresys.threads.watching.places import order_of

_NOT_WATCHED = (
    "locks are not watched: the plugin was loaded too late (-p coresys in a conftest?), or gevent has its own"
)


class LockOrder:
    """Circles in the order of the locks that a test took, and of what else its threads waited for."""

    key = "locks.potential_deadlocks"
    unit = "count"

    def __init__(self, show: Callable[[str], str] = str) -> None:
        self._show = show
        self.order: Order | None = None  # what the last test has seen, for comparing it with others

    def start(self) -> None:
        self.order = None
        chains.renew()

    def stop(self) -> Reading:
        book = chains.renew()
        if not installed():
            return Reading(None, _NOT_WATCHED)
        if not book.seen and not book.pending:
            return Reading(0.0)
        order = order_of(book, self._show)
        found, complete = search(order.edges)
        self.order = replace(order, lasting=order.lasting | _numbers(found))
        if not found and book.full:
            return Reading(None, f"more than {book.limit:,} different orders of locks, of which no more are kept")
        if not found and not complete:
            return Reading(None, f"{len(order.edges):,} orders of locks make too many ways to look through all of them")
        nodes = {node.number: node for node in order.nodes}
        met = deadlocks.count() > Deadlocks.before
        return Reading(float(len(found)), each=tuple(words.part_of(cycle, nodes, met=met) for cycle in found))

    def take(self) -> Order | None:
        """The order that the last test has seen, once."""
        order, self.order = self.order, None
        return order


def _numbers(found: list[Cycle]) -> frozenset[int]:
    return frozenset(edge.source for cycle in found for edge in cycle)


class Deadlocks:
    """Deadlocks that happened while a test ran, whoever got the error of it, and whatever became of that."""

    key = "locks.deadlocks"
    unit = "count"

    before = 0  # of the process: how many there were when the test that runs began

    def start(self) -> None:
        Deadlocks.before = deadlocks.count()
        # A thread that dies of it is told of here, and is no second failure; in repetitions neither.
        deadlocks.keep_silent(True)

    def stop(self) -> Reading:
        if not installed():
            return Reading(None, _NOT_WATCHED)
        number = deadlocks.count() - Deadlocks.before
        return Reading(float(number), each=tuple(map(words.part_of_deadlock, _now()))) if number else _NONE


def _now() -> list[deadlocks.Broken]:
    return deadlocks.since(Deadlocks.before)


_NONE = Reading(0.0)


class _Waits:
    """What waiting cost between ``start`` and ``stop``. It stops before the order does, which begins a new leaf."""

    key: str
    unit: str

    def __init__(self) -> None:
        self._ledger: Ledger | None = None

    def start(self) -> None:
        chains.renew()
        self._ledger = open_ledger()
        self._deadlocks = deadlocks.count()

    def stop(self) -> Reading:
        ledger, self._ledger = self._ledger, None
        if ledger is None or not installed():
            return Reading(None, _NOT_WATCHED)
        close_ledger(ledger)
        if deadlocks.count() != self._deadlocks:
            return Reading(None, "threads waited for one another: see locks.deadlocks")
        found = ledger.read() if ledger.accounts else []
        if found and not ledger.complete:
            return Reading(None, f"more than {MOST_ENDED:,} threads have ended, of which no more are kept")
        return self._reading(found)

    def _reading(self, found: list[Contention]) -> Reading:
        raise NotImplementedError


class LockContention(_Waits):
    """The share of their time that threads lost by waiting for one lock: that of the lock where it is the largest."""

    key = "locks.contention"
    unit = "ratio"

    def _reading(self, found: list[Contention]) -> Reading:
        worst = worst_of(found)
        if not worst:
            return Reading(0.0)
        told = words.part_of_contention(worst[0])
        return Reading(round(worst[0].share, 3), details=told.details, where=told.where)


class LockWait(_Waits):
    """The longest single wait for a lock, without the time for which the process was busy meanwhile."""

    key = "locks.wait"
    unit = "s"

    def _reading(self, found: list[Contention]) -> Reading:
        longest = max(found, key=lambda each: each.longest, default=None)
        if longest is None:
            return Reading(0.0)
        told = words.part_of_contention(longest)
        return Reading(round(longest.longest, 6), details=told.details, where=told.where)


def again_probes() -> tuple[LockContention, LockWait]:
    """Those of which a figure that is over has to be over again in repetitions."""
    return LockContention(), LockWait()


__all__ = ["Deadlocks", "LockContention", "LockOrder", "LockWait", "again_probes"]
