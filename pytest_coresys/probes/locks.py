"""What is measured of the locks that a test takes: their order."""

from __future__ import annotations

from coresys import Reading
from coresys.threads.watching import chains, words
from coresys.threads.watching.graph import cycles
from coresys.threads.watching.install import installed
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
        if not book.seen and not book.pending:
            return Reading(0.0) if installed() else Reading(None, _NOT_WATCHED)
        nodes, edges = edges_of(book)
        found = cycles(edges)
        if not found and book.full:
            return Reading(None, f"more than {book.limit:,} different orders of locks, of which no more are kept")
        return Reading(float(len(found)), each=tuple(words.part_of(cycle, nodes) for cycle in found))
