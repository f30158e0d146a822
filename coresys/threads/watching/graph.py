"""The order graph, and the circles in it: what would be a deadlock, had the threads met. Pure.

An edge says: somebody held ``source`` and went to take ``target``. Nodes are instances, by number: two accounts that
are locked in the order of their numbers are no circle, though one line takes both.

A circle of edges is a potential deadlock unless a *gate* excuses it: a lock that was held when either of two of its
edges was made, so that those two are never under way at once. ``gates`` of an edge are the other locks that were held;
the same two locks may have been taken with different ones, which are different edges. A semaphore is a gate too: each
edge of a circle takes a thread of its own, so one that lets in k at once excuses a circle of which more than k edges
were made with a permit of it (the philosophers of whom one fewer may sit down than there are forks).
Source: the lock tree of J. Havelund, "Using runtime analysis to guide model checking of Java programs" (SPIN 2000), by
whose gate locks false alarms are avoided, over instances as in ThreadSanitizer's detector.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from coresys.records import Location

LONGEST = 8  # edges of a circle; longer ones contain inversions that nobody would recognise
MOST = 64  # circles
# Kinds of nodes that are no locks: each stands for the end of something that can be waited for.
TOKENS = frozenset({"thread", "future", "item", "room", "end of work", "collector", "task"})


@dataclass(frozen=True, slots=True)
class Node:
    """A lock, or what else can be waited for. ``number`` is of one process.

    ``kind``: "lock", "rlock", "thread", "future", "queue", ... ``site`` is where it was made, ``scope`` whether it is
    one for the whole program: "module" or "class", else "instance". ``permits``: how many may hold it at once.
    """

    number: int
    kind: str
    name: str
    site: Location
    scope: str = "instance"
    permits: int = 1


@dataclass(frozen=True, slots=True)
class Edge:
    """``source`` was held, taken at ``held_at``, when ``thread`` went to take ``target`` at ``taken_at``.

    ``permits`` are the semaphores of which it held one, each with how many that lets in.
    """

    source: int
    target: int
    thread: str
    held_at: Location
    taken_at: Location
    gates: frozenset[int] = frozenset()
    permits: frozenset[tuple[int, int]] = frozenset()
    by: int = field(default=0, compare=False)  # the number of the thread: names may be the same

    @property
    def sites(self) -> tuple[Location, Location]:
        """What tells two edges apart for whoever reads them."""
        return self.held_at, self.taken_at


@dataclass(frozen=True, slots=True)
class Order:
    """What was seen of the order of locks, in one test. ``lasting``: the nodes that live on after it."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    lasting: frozenset[int] = frozenset()


Cycle = tuple[Edge, ...]


def cycles(edges: Iterable[Edge]) -> list[Cycle]:
    """The shortest circles first; of those that differ in nothing but which instances took part, one.

    At most ``MOST``, none longer than ``LONGEST``.
    """
    by_source: dict[int, dict[int, list[Edge]]] = defaultdict(lambda: defaultdict(list))
    for edge in edges:
        if edge.source != edge.target:
            by_source[edge.source][edge.target].append(edge)
    inside = _within_circles({source: set(targets) for source, targets in by_source.items()})
    found: list[Cycle] = []
    known: set[frozenset[tuple[Location, Location]]] = set()
    for length in range(2, LONGEST + 1):
        for path in _paths(by_source, inside, length):
            chosen = _without_gate([by_source[one][other] for one, other in path])
            if chosen is None:
                continue
            sites = frozenset(edge.sites for edge in chosen)
            if any(each <= sites for each in known):  # the same inversion, by a longer way or between others
                continue
            known.add(sites)
            found.append(chosen)
            if len(found) >= MOST:
                return found
    return found


def _paths(
    by_source: dict[int, dict[int, list[Edge]]], inside: dict[int, int], length: int
) -> Iterator[list[tuple[int, int]]]:
    """All circles of so many nodes, each once: from its least node on."""
    for start in sorted(inside):
        stack = [(start, iter(sorted(by_source[start])))]
        path = [start]
        while stack:
            _, targets = stack[-1]
            for target in targets:
                if inside.get(target) != inside[start]:
                    continue
                if target == start and len(path) == length:
                    yield list(zip(path, [*path[1:], start], strict=True))
                elif target > start and len(path) < length and target not in path:
                    path.append(target)
                    stack.append((target, iter(sorted(by_source[target]))))
                    break
            else:
                stack.pop()
                path.pop()


def _within_circles(targets: dict[int, set[int]]) -> dict[int, int]:
    """The nodes that are part of any circle, each with the number of its strongly connected component (Tarjan)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    found: dict[int, int] = {}
    for root in targets:
        if root in index:
            continue
        work: list[tuple[int, Iterator[int]]] = [(root, iter(targets.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for target in rest:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(targets.get(target, ()))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    members = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        members.append(member)
                        if member == node:
                            break
                    if len(members) > 1:
                        found.update(dict.fromkeys(members, node))
    return found


def _without_gate(choices: Sequence[Sequence[Edge]]) -> Cycle | None:
    """One edge for each step, no two of which held a lock in common, nor more of them a permit than there are of it.

    None where there is no such choice.
    """

    def choose(at: int, held: frozenset[int], permits: tuple[int, ...]) -> tuple[Edge, ...] | None:
        if at == len(choices):
            return ()
        for edge in choices[at]:
            if any(permits.count(number) >= limit for number, limit in edge.permits):
                continue
            if edge.source not in held and held.isdisjoint(edge.gates):
                more = (*permits, *(number for number, _ in edge.permits))
                rest = choose(at + 1, held | edge.gates | {edge.source}, more)
                if rest is not None:
                    return (edge, *rest)
        return None

    return choose(0, frozenset(), ())


__all__ = ["LONGEST", "MOST", "TOKENS", "Cycle", "Edge", "Node", "Order", "cycles"]
