"""What is measured of the locks that a test takes: their order, and what waiting for them costs."""

from __future__ import annotations

from coresys import Reading
from coresys.threads.watching import chains, words
from coresys.threads.watching.contention import Contention, worst_of
from coresys.threads.watching.graph import cycles
from coresys.threads.watching.install import installed
from coresys.threads.watching.ledger import MOST_ENDED, Ledger, close_ledger, open_ledger
from coresys.threads.watching.places import edges_of

_NOT_WATCHED = "locks are not watched: the plugin was loaded too late (-p coresys in a conftest?)"


class LockOrder:
    """Circles in the order of the locks that a test took, and of what else its threads waited for."""

    key = "locks.potential_deadlocks"
    unit = "count"

    def start(self) -> None:
        chains.renew()

    def stop(self) -> Reading:
        book = chains.renew()
        if not book.seen:
            return Reading(0.0) if installed() else Reading(None, _NOT_WATCHED)
        nodes, edges = edges_of(book)
        found = cycles(edges)
        if not found and book.full:
            return Reading(None, f"more than {book.limit:,} different orders of locks, of which no more are kept")
        return Reading(float(len(found)), each=tuple(words.part_of(cycle, nodes) for cycle in found))


class _Waits:
    """What waiting cost between ``start`` and ``stop``. It stops before the order does, which begins a new leaf."""

    key: str
    unit: str

    def __init__(self) -> None:
        self._ledger: Ledger | None = None

    def start(self) -> None:
        chains.renew()
        self._ledger = open_ledger()

    def stop(self) -> Reading:
        ledger, self._ledger = self._ledger, None
        if ledger is None or not installed():
            return Reading(None, _NOT_WATCHED)
        close_ledger(ledger)
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
