"""Circles, and what waiting costs, in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from coresys.budgets.units import format_quantity
from coresys.records import Location, Part
from coresys.threads.watching.contention import Contention
from coresys.threads.watching.graph import Cycle, Node


def part_of(cycle: Cycle, nodes: Mapping[int, Node]) -> Part:
    """What was seen of a circle, and where: for each of its edges who held what, and what was taken then."""
    names = names_of(cycle, nodes)
    details, where = [], []
    for edge in cycle:
        held, wanted = names[edge.source], names[edge.target]
        details.append(f"{edge.thread} held {held} and took {wanted}")
        where.append(_at(edge.held_at, f"{held} taken"))
        where.append(_at(edge.taken_at, f"then {wanted}"))
    threads = {edge.thread for edge in cycle}
    alone = f"{threads.pop()} did all of it" if len(threads) == 1 else "they did not meet"
    details.append(f"threads that do this at once wait for each other for ever; here {alone}")
    return Part(tuple(details), tuple(where))


def names_of(cycle: Cycle, nodes: Mapping[int, Node]) -> dict[int, str]:
    """What each lock of a circle is called; numbered where several are called the same, with the place of the first."""
    numbers = list(dict.fromkeys(edge.source for edge in cycle))
    counts = Counter(nodes[number].name for number in numbers)
    found: dict[int, str] = {}
    used: Counter[str] = Counter()
    for number in numbers:
        name = nodes[number].name
        used[name] += 1
        found[number] = f"{name} #{used[name]}" if counts[name] > 1 else name
    return found


def part_of_contention(lock: Contention) -> Part:
    """What a lock cost, and where: it, the longest wait for it, where it had been taken then, where its holder stood.

    Of the holder's stack the frame is told that took the lock, and the innermost.
    """
    share = format_quantity(lock.wait_share, "ratio")
    details = [
        f"{lock.name}: {_counted(lock.threads, 'thread')} lost {_seconds(lock.blocked)} of {_seconds(lock.active)} "
        "that they were active",
        f"{_counted(lock.waits, 'wait')} of {_seconds(lock.waited)} in all ({share}), "
        f"the longest {_seconds(lock.longest)}",
    ]
    where = [_at(lock.site, f"{lock.name} made")]
    if lock.waiter is not None:
        where.append(_at(lock.waiter, f"{lock.waiting} waited longest"))
    if lock.holder is not None:
        where.append(_at(lock.holder, f"taken by {lock.holding} then"))
        where += [_at(place, f"{lock.holding} stood here") for place in _stood(lock)]
    return Part(tuple(details), tuple(where))


def _stood(lock: Contention) -> list[Location]:
    holder = lock.holder
    took = [
        place
        for place in lock.stack
        if holder is not None and (place.path, place.function) == (holder.path, holder.function)
    ][:1]
    return list(dict.fromkeys([*took, *lock.stack[:1]]))


def _seconds(value: float) -> str:
    return format_quantity(value, "s")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _at(place: Location, note: str) -> Location:
    return replace(place, note=note)


__all__ = ["names_of", "part_of", "part_of_contention"]
