"""What is measured of the locks that a test takes: their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from coresys import Reading
from coresys.threads.watching import chains
from coresys.threads.watching.graph import Cycle, Order, cycles
from coresys.threads.watching.install import installed
from coresys.threads.watching.places import order_of
from coresys.threads.watching.words import part_of

_NOT_WATCHED = "locks are not watched: the plugin was loaded too late (-p coresys in a conftest?)"


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
        if not book.seen:
            return Reading(0.0) if installed() else Reading(None, _NOT_WATCHED)
        order = order_of(book, self._show)
        found = cycles(order.edges)
        self.order = replace(order, lasting=order.lasting | _numbers(found))
        if not found and book.full:
            return Reading(None, f"more than {book.limit:,} different orders of locks, of which no more are kept")
        nodes = {node.number: node for node in order.nodes}
        return Reading(float(len(found)), each=tuple(part_of(cycle, nodes) for cycle in found))

    def take(self) -> Order | None:
        """The order that the last test has seen, once."""
        order, self.order = self.order, None
        return order


def _numbers(found: list[Cycle]) -> frozenset[int]:
    return frozenset(edge.source for cycle in found for edge in cycle)
