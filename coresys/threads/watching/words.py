"""Circles in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from coresys.records import Location, Part
from coresys.threads.watching.graph import TOKENS, Cycle, Node

_OF_TASKS = frozenset({"asyncio.Lock", "asyncio.Semaphore"})


def part_of(cycle: Cycle, nodes: Mapping[int, Node], tests: Sequence[str] = ()) -> Part:
    """What was seen of a circle, and where: for each of its edges who held what, and what was taken then.

    ``tests``: where it is not all of one test, that of each edge.
    """
    names = names_of(cycle, nodes)
    details, where = [], []
    for at, edge in enumerate(cycle):
        held, wanted = names[edge.source], names[edge.target]
        of = f", in {tests[at]}" if tests else ""
        if nodes[edge.source].kind in TOKENS:
            details.append(f"{edge.thread} took {wanted} before it ended{of}")
            where.append(_at(edge.taken_at, f"{wanted} taken"))
            continue
        awaited = nodes[edge.target].kind in TOKENS
        details.append(f"{edge.thread} held {held} and {'waited for' if awaited else 'took'} {wanted}{of}")
        where.append(_at(edge.held_at, f"{held} taken"))
        where.append(_at(edge.taken_at, f"then waited for {wanted}" if awaited else f"then {wanted}"))
    who = "tasks" if any(nodes[edge.source].kind in _OF_TASKS for edge in cycle) else "threads"
    threads = {edge.thread for edge in cycle}
    alone = f"{threads.pop()} did all of it" if len(threads) == 1 and not tests else "they did not meet"
    details.append(f"{who} that do this at once wait for each other for ever; here {alone}")
    return Part(tuple(details), tuple(where), sites_of(cycle, nodes))


def sites_of(cycle: Cycle, nodes: Mapping[int, Node]) -> tuple[str, ...]:
    """Where the locks of a circle are made, each place once."""
    sites = (nodes[edge.source].site for edge in cycle)
    return tuple(dict.fromkeys(f"{site.path}:{site.line}" for site in sites))


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


def _at(place: Location, note: str) -> Location:
    return replace(place, note=note)


__all__ = ["names_of", "part_of", "sites_of"]
