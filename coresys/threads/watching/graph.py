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
MOST_STEPS = 200_000  # on the ways through all orders, some microseconds each
_MOST_CHOICES = 50  # of edges between the same two, with other gates each
# Kinds of nodes that are no locks: each stands for the end of something that can be waited for.
TOKENS = frozenset({"thread", "future", "item", "room", "end of work", "collector", "task"})


@dataclass(frozen=True, slots=True)
class Node:
    """A lock, or what else can be waited for. ``number`` is of one process.

    ``kind``: "lock", "rlock", "thread", "future", "queue", ... ``site`` is where it was made, ``scope`` whether it is
    one for the whole program: "module" or "class", else "instance". ``permits``: how many may hold it at once.
    ``origin`` is the line of a module that has made it, where that has made no other one there; ``calls`` tell apart
    what stands in one line: which call of that line it is, and which one of the line of ``site``.
    """

    number: int
    kind: str
    name: str
    site: Location
    scope: str = "instance"
    permits: int = 1
    origin: Location | None = None
    calls: tuple[int, int] = (0, 0)


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
    return search(edges)[0]


def search(edges: Iterable[Edge]) -> tuple[list[Cycle], bool]:
    """As ``cycles``; and whether all were looked for. Among very many orders they are not, after ``MOST_STEPS``."""
    by_source = _choices(edges)
    inside = _not_gated(_within_circles({source: set(targets) for source, targets in by_source.items()}), by_source)
    looking = _Search(by_source, _into(by_source, inside))
    for length in range(2, LONGEST + 1):
        for start in sorted(inside):
            looking.go(start, length)
            if len(looking.found) >= MOST:
                return looking.found, True
            if looking.steps <= 0:
                return looking.found, False
    return looking.found, True


def _choices(edges: Iterable[Edge]) -> dict[int, dict[int, list[Edge]]]:
    """By source and target those edges that may be told, in their order: one that was made with no fewer gates and
    permits than one before it is never preferred."""
    by_source: dict[int, dict[int, list[Edge]]] = defaultdict(lambda: defaultdict(list))
    for edge in edges:
        if edge.source != edge.target:
            same = by_source[edge.source][edge.target]
            if len(same) < _MOST_CHOICES and not any(_is_as_free(known, edge) for known in same):
                same.append(edge)
    return by_source


def _is_as_free(one: Edge, other: Edge) -> bool:
    """Whether nothing excuses ``one`` that does not excuse the ``other`` too."""
    return one.gates <= other.gates and one.permits <= other.permits


def _not_gated(inside: dict[int, int], by_source: dict[int, dict[int, list[Edge]]]) -> dict[int, int]:
    """Without those components within which one lock was held around all: there is no circle in them that counts."""
    common: dict[int, frozenset[int]] = {}
    for source, component in inside.items():
        for target, edges in by_source[source].items():
            if inside.get(target) == component:
                gates = common.get(component, edges[0].gates)
                common[component] = gates.intersection(*(edge.gates for edge in edges)) if gates else gates
    return {node: component for node, component in inside.items() if not common[component]}


def _into(by_source: dict[int, dict[int, list[Edge]]], inside: dict[int, int]) -> dict[int, list[int]]:
    """From where a node is gone to, within a strongly connected component."""
    into: dict[int, list[int]] = defaultdict(list)
    for source in inside:
        for target in by_source[source]:
            if inside.get(target) == inside[source]:
                into[target].append(source)
    return into


class _Search:
    """Goes through the circles, each from its least node on, and turns back where none is to be found any more.

    That is where the start is too far away, and where what was gone so far is excused by a gate, or has all of an
    inversion that is known: where many locks are taken in both orders there are more ways than hours to go them in.
    """

    def __init__(self, by_source: dict[int, dict[int, list[Edge]]], into: dict[int, list[int]]) -> None:
        self._by_source, self._into = by_source, into
        self._known: list[frozenset[tuple[Location, Location]]] = []
        self.found: list[Cycle] = []
        self.steps = MOST_STEPS  # that are left

    def go(self, start: int, length: int) -> None:
        """Find those of ``length`` nodes, the least of which is ``start``."""
        near = self._near(start, length)
        path: list[int] = [start]
        choices: list[list[Edge]] = []
        stack = [iter(sorted(self._by_source[start]))]
        while stack and self.steps > 0 and len(self.found) < MOST:
            for target in stack[-1]:
                left = length - len(path)  # steps from the target on
                if near.get(target, length) > left or (target in path and (left or target != start)):
                    continue
                more = [*choices, self._by_source[path[-1]][target]]
                if self._is_new(more, whole=not left) and left:
                    path.append(target)
                    stack.append(iter(sorted(self._by_source[target])))
                    choices = more
                    break
            else:
                stack.pop()
                path.pop()
                choices = choices[:-1]

    def _is_new(self, choices: list[list[Edge]], *, whole: bool) -> bool:
        """Whether a way may be part of a circle that is not known yet; a whole one is added."""
        self.steps -= 1
        chosen = _without_gate(choices)
        if chosen is None:
            return False
        sites = frozenset(edge.sites for edge in chosen)
        if any(each <= sites for each in self._known):  # the same inversion, by a longer way or between others
            return False
        if whole:
            self._known.append(sites)
            self.found.append(chosen)
        return True

    def _near(self, start: int, length: int) -> dict[int, int]:
        """How far it is at least to ``start`` from those larger ones that are less than ``length`` steps away."""
        far = {start: 0}
        last = [start]
        for steps in range(1, length):
            before, last = last, []
            for source in (each for target in before for each in self._into[target]):
                if source > start and source not in far:
                    far[source] = steps
                    last.append(source)
        self.steps -= len(far) // 10
        return far


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


__all__ = ["LONGEST", "MOST", "MOST_STEPS", "TOKENS", "Cycle", "Edge", "Node", "Order", "cycles", "search"]
