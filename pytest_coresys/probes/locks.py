"""What is measured of the locks that a test takes: their order, and the deadlocks that happened."""

from __future__ import annotations

from dataclasses import replace

from coresys import Reading
from coresys.records import Part
from coresys.threads.watching import chains, deadlocks, words
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
        return Reading(float(number), each=tuple(map(part_of, _now()))) if number else _NONE


def _now() -> list[deadlocks.Broken]:
    return deadlocks.since(Deadlocks.before)


def told_since_start() -> str:
    """The deadlocks of the test that runs, in words; nothing where there were none."""
    lines: list[str] = []
    for part in map(part_of, _now()):
        lines += [*part.details, *(f"  at {place}" for place in part.where)]
    return "\n".join(lines)


_NONE = Reading(0.0)
_MOST_FRAMES = 12


def part_of(broken: deadlocks.Broken) -> Part:
    """A deadlock as a finding: who waits for what, held by whom, and where; then the stacks."""
    details, where = [], []
    for each in broken.threads:
        holds = f"; it holds {', '.join(each.held)}" if each.held else ""
        details.append(f"{each.thread} waits for {each.wanted}, held by {each.holder}{holds}")
        where.append(replace(each.at, note=f"{each.thread} waits for {each.wanted}"))
        if each.taken_at is not None:
            where.append(replace(each.taken_at, note=f"{each.wanted} taken by {each.holder}"))
    details.append(f"broken by a DeadlockError in {broken.thread}")
    for each in broken.threads:
        details.append(f"stack of {each.thread}: {' < '.join(each.stack[:_MOST_FRAMES])}")
    return Part(tuple(details), tuple(where))


__all__ = ["Deadlocks", "LockOrder", "part_of", "told_since_start"]
