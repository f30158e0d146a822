"""The order in which the locks of a run were taken: one graph, from what each test, in each process, has seen. Pure.

A lock is the same one in two tests where both had the very instance (of one process, which lived on after the first),
or where there is one for the whole program: of a module, of a class, or made once by a line of a module when that is
imported. Those may close a circle between tests, each of
which has but a part of it. Locks that a test made for itself are drawn as one node for each place where they are made:
what they do in one test says nothing of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from coresys.budgets.units import format_quantity
from coresys.records import Finding, Location
from coresys.threads.watching.graph import Edge, Node, cycles
from coresys.threads.watching.words import names_of, part_of, sites_of
from pytest_coresys.wire import location_from_dict

KEY = "locks.potential_deadlocks"
_LEVELS = ("error", "warn")
_MOST_TESTS = 20  # of an edge, that are named in the run file
WHOLE_PROGRAM = ("module", "class")
_OF_QUEUE = dict.fromkeys(("item", "room", "end of work"), "queue")  # what of it is waited for stands in the name


class Orders:
    """Takes what tests tell, and gives the graph, and the circles that no single test has closed."""

    KEY = KEY

    def __init__(self) -> None:
        self._nodes: dict[tuple[Any, ...], int] = {}
        self._records: dict[int, Node] = {}
        self._shared: set[int] = set()  # nodes that may be in several tests
        self._edges: dict[Edge, dict[str, None]] = {}  # with the tests that have seen it, in their order

    def add(self, told: Mapping[str, Any], test: str, worker: str | None) -> None:
        """What a test has told: as ``order_to_dict`` of ``wire`` wrote it."""
        numbers = {int(node["number"]): self._node(node, told["process"], worker) for node in told["nodes"]}
        for edge in told["edges"]:
            made = Edge(
                numbers[edge["source"]],
                numbers[edge["target"]],
                edge["thread"],
                location_from_dict(edge["held_at"]),
                location_from_dict(edge["taken_at"]),
                *self._gates(edge["gates"], numbers),
            )
            self._edges.setdefault(made, {})[test] = None

    def add_section(self, section: Mapping[str, Any], *, shard: str) -> None:
        """What another run has told, in its run file; instances that its tests shared are of that run alone."""
        numbers: dict[int, int] = {}
        for node in section["nodes"]:
            path, _, line = node["site"].rpartition(":")
            told = {**node, "path": path, "line": int(line), "number": node["id"]}
            told.setdefault("function", "")
            numbers[node["id"]] = self._node({**told, "lasting": node.get("shared", False)}, 0, shard)
        for edge in section["edges"]:
            held, taken = (_place(*each) for each in zip(edge["sites"], edge.get("functions", ("", "")), strict=True))
            gates = self._gates(edge["gates"], numbers)
            made = Edge(numbers[edge["from"]], numbers[edge["to"]], edge["thread"], held, taken, *gates)
            self._edges.setdefault(made, {}).update(dict.fromkeys(edge["tests"]))

    def _gates(
        self, gates: Iterable[int], numbers: Mapping[int, int]
    ) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
        """Those that let one in, and those that let in some, with how many."""
        known = [self._records[numbers[gate]] for gate in gates if gate in numbers]
        several = frozenset((node.number, node.permits) for node in known if node.permits > 1)
        return frozenset(node.number for node in known if node.permits == 1), several

    def _node(self, node: Mapping[str, Any], process: int, worker: str | None) -> int:
        # What stands in one line, or is made by several lines of modules at one place, is told apart by the last two.
        origin, calls = node.get("origin"), tuple(node.get("calls", ()))
        place = node["path"], node["line"], node["name"], node["kind"], origin, calls
        shared = node["scope"] in WHOLE_PROGRAM or node["lasting"]
        if node["scope"] in WHOLE_PROGRAM:
            identity: tuple[Any, ...] = ("program", *place)
        elif node["lasting"]:
            identity = (worker, process, node["number"])
        else:
            identity = ("made there", *place)
        number = self._nodes.setdefault(identity, len(self._nodes) + 1)
        if shared:
            self._shared.add(number)
        if number not in self._records or not self._records[number].site.function:  # as older run files have it
            site = Location(node["path"], node["line"], node["function"])
            permits = node.get("permits", 1)
            self._records[number] = Node(
                number, node["kind"], node["name"], site, node["scope"], permits, _origin(origin), calls or (0, 0)
            )
        return number

    def between_tests(self, measures: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
        """Circles whose edges come from different tests; ``measures`` has by test what it was held to in this."""
        findings = []
        for cycle in self._circles():
            if self._alone(cycle):
                continue  # a finding of that test's
            tests = self._tests_of(cycle)
            budgets = [measures[test] for test in tests if test in measures]
            levels = [budget["level"] for budget in budgets if budget["limit"] == 0]
            level = next((each for each in _LEVELS if each in levels), None)
            if level is not None:
                findings.append(self._finding(cycle, tests, level, budgets[0]))
        return findings

    def _finding(self, cycle: tuple[Edge, ...], tests: list[str], level: str, budget: Mapping[str, Any]) -> Finding:
        part = part_of(cycle, self._records, tests)
        names = names_of(cycle, self._records)
        limit = format_quantity(budget["limit"], "count")
        told = " and ".join(names.values())
        return Finding(
            KEY,
            level,
            f"{KEY}: 1 > {limit} ({budget['origin']}): {told}, in different tests",
            details=(*part.details, f"the same locks in both: {self._why_the_same(cycle)}"),
            locations=part.where,
            tests=tuple(dict.fromkeys(tests)),
            locks=sites_of(cycle, self._records),
        )

    def _why_the_same(self, cycle: Iterable[Edge]) -> str:
        scopes = {self._records[edge.source].scope for edge in cycle}
        if scopes <= set(WHOLE_PROGRAM):
            return f"each is one for the whole {' or '.join(sorted(scopes))}"
        return "the very instances, which live on between tests"

    def _circles(self) -> list[tuple[Edge, ...]]:
        """The same for the same edges, in whatever order they came from however many workers."""
        numbers = self._numbers()
        back = {number: known for known, number in numbers.items()}
        shared = [edge for edge in self._edges if edge.source in self._shared and edge.target in self._shared]
        renumbered = sorted((_renumbered(edge, numbers) for edge in shared), key=_edge_order)
        return [tuple(_renumbered(edge, back) for edge in cycle) for cycle in cycles(renumbered)]

    def _numbers(self) -> dict[int, int]:
        """The nodes numbered by where they stand, rather than in the order in which they came."""
        order = sorted(self._records, key=lambda number: (*_node_order(self._records[number]), number))
        return {number: at for at, number in enumerate(order, 1)}

    def _tests_of(self, cycle: tuple[Edge, ...]) -> list[str]:
        """The tests that a circle is told of: one that has closed it alone, or else one for each edge."""
        alone = self._alone(cycle)
        return [min(alone)] if alone else [min(self._edges[edge]) for edge in cycle]

    def _alone(self, cycle: tuple[Edge, ...]) -> set[str]:
        return set.intersection(*(set(self._edges[edge]) for edge in cycle))

    def section(self) -> dict[str, Any]:
        """The ``locks`` of the run file: nodes, edges, and circles, those of single tests too."""
        numbers = self._numbers()
        edges = sorted(self._edges, key=lambda edge: _edge_order(_renumbered(edge, numbers)))
        at = {edge: number for number, edge in enumerate(edges)}
        return {
            "nodes": [self._node_to_dict(known, number) for known, number in numbers.items()],
            "edges": [self._edge_to_dict(edge, numbers) for edge in edges],
            "cycles": [
                {"edges": [at[edge] for edge in cycle], "tests": list(dict.fromkeys(self._tests_of(cycle)))}
                for cycle in self._circles()
            ],
        }

    def _node_to_dict(self, known: int, number: int) -> dict[str, Any]:
        node = self._records[known]
        return {
            "id": number,
            "name": node.name,
            "site": _site(node.site),
            "function": node.site.function,
            "kind": _OF_QUEUE.get(node.kind, node.kind),
            "scope": node.scope,
            "shared": known in self._shared,
            **({"permits": node.permits} if node.permits > 1 else {}),
            **({} if node.origin is None else {"origin": _site(node.origin), "calls": list(node.calls)}),
        }

    def _edge_to_dict(self, edge: Edge, numbers: Mapping[int, int]) -> dict[str, Any]:
        return {
            "from": numbers[edge.source],
            "to": numbers[edge.target],
            "thread": edge.thread,
            "sites": [_site(edge.held_at), _site(edge.taken_at)],
            "functions": [edge.held_at.function, edge.taken_at.function],
            "gates": sorted(numbers[gate] for gate in (*edge.gates, *(number for number, _ in edge.permits))),
            "tests": sorted(self._edges[edge])[:_MOST_TESTS],
        }


def with_lock_ids(findings: Iterable[Mapping[str, Any]], locks: Mapping[str, Any], test: str = "") -> list[Any]:
    """Findings with the ids of the nodes that they are about, as the ``locks`` of the same run number them.

    Those that are made at the places that a finding names, and that its tests took, as far as edges name tests.
    """
    return [
        {**each, "lock_ids": _ids(locks, set(each["locks"]), {test, *each.get("tests", ())})}
        if each.get("locks")
        else each
        for each in findings
    ]


def _ids(locks: Mapping[str, Any], sites: set[str], tests: set[str]) -> list[int]:
    made = [node["id"] for node in locks["nodes"] if node["site"] in sites]
    seen = [edge for edge in locks["edges"] if not tests.isdisjoint(edge["tests"])]
    taken = {number for edge in seen for number in (edge["from"], edge["to"])}
    return [number for number in made if number in taken] or made


def _renumbered(edge: Edge, numbers: Mapping[int, int]) -> Edge:
    gates = frozenset(numbers[gate] for gate in edge.gates)
    permits = frozenset((numbers[number], limit) for number, limit in edge.permits)
    return replace(edge, source=numbers[edge.source], target=numbers[edge.target], gates=gates, permits=permits)


def _node_order(node: Node) -> tuple[Any, ...]:
    origin = "" if node.origin is None else _site(node.origin)
    return node.site.path, node.site.line, node.name, node.kind, origin, node.calls


def _edge_order(edge: Edge) -> tuple[Any, ...]:
    places = edge.held_at.path, edge.held_at.line, edge.taken_at.path, edge.taken_at.line
    return edge.source, edge.target, *places, edge.thread, sorted(edge.gates), sorted(edge.permits)


def _place(site: str, function: str) -> Location:
    path, _, line = site.rpartition(":")
    return Location(path, int(line), function)


def _origin(site: str | None) -> Location | None:
    return None if site is None else _place(site, "")


def _site(place: Location) -> str:
    return f"{place.path}:{place.line}"


__all__ = ["Orders", "with_lock_ids"]
