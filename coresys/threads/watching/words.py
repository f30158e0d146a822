"""Circles in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from coresys.records import Location, Part
from coresys.threads.watching.graph import TOKENS, Cycle, Node


def part_of(cycle: Cycle, nodes: Mapping[int, Node]) -> Part:
    """What was seen of a circle, and where: for each of its edges who held what, and what was taken then."""
    names = names_of(cycle, nodes)
    details, where = [], []
    for edge in cycle:
        held, wanted = names[edge.source], names[edge.target]
        if nodes[edge.source].kind in TOKENS:
            details.append(_needs(nodes[edge.source].kind, held, wanted, edge.thread))
            where.append(_at(edge.taken_at, f"{wanted} taken"))
        elif nodes[edge.target].kind == "collector":
            details.append(f"{held} is taken elsewhere too, and the collector may run while it is held")
            where.append(_at(edge.held_at, f"{held} taken"))
        else:
            did = "waited for" if nodes[edge.target].kind in TOKENS else "took"
            details.append(f"{edge.thread} held {held} and {did} {wanted}")
            where.append(_at(edge.held_at, f"{held} taken"))
            where.append(_at(edge.taken_at, f"then {did} {wanted}" if did != "took" else f"then {wanted}"))
    if any(node.kind == "collector" for node in map(nodes.__getitem__, names)):
        details.append("a thread in which that happens waits for itself for ever")
        return Part(tuple(details), tuple(where))
    threads = {edge.thread for edge in cycle}
    alone = f"{threads.pop()} did all of it" if len(threads) == 1 else "they did not meet"
    details.append(f"threads that do this at once wait for each other for ever; here {alone}")
    return Part(tuple(details), tuple(where))


def _needs(kind: str, token: str, wanted: str, thread: str) -> str:
    """Why a token is not to be had without a lock."""
    return {
        "item": f"{thread} took {wanted} before it put into that queue, and nobody put without",
        "room": f"{thread} took {wanted} before it got the next from that queue",
        "end of work": f"{thread} took {wanted} before it was done with what it had got",
        "collector": f"a finalizer that the garbage collector ran in {thread} took {wanted}",
    }.get(kind, f"{token} took {wanted}")


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


__all__ = ["names_of", "part_of"]
