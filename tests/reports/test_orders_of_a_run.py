"""The order of locks of a run, put together from what its tests tell: what a semaphore of some permits excuses."""

from __future__ import annotations

import json

import pytest

from coresys.records import Location
from coresys.threads.watching.graph import Edge, Node, Order
from pytest_coresys.reports.orders import Orders
from pytest_coresys.wire import order_to_dict


def order(source: int, target: int, permits: int) -> Order:
    """Of one philosopher: fork ``source`` was held, and a permit, when ``target`` was taken; all are of modules."""
    nodes = tuple(Node(at, "lock", f"fork{at}", Location("a.py", at), "module") for at in (source, target))
    seats = Node(9, "semaphore", "seats", Location("a.py", 9), "module", permits)
    place = Location("a.py", 10 + source, "eat")
    return Order((*nodes, seats), (Edge(source, target, "t", place, place, permits=frozenset({(9, permits)})),))


@pytest.mark.parametrize(("permits", "circles"), [(2, 0), (3, 1)])
def test_permits_travel_from_the_tests_to_the_run_and_from_its_file_to_another(permits: int, circles: int) -> None:
    run = Orders()
    for at, (one, other) in enumerate([(1, 2), (2, 3), (3, 1)]):
        told = json.loads(json.dumps(order_to_dict(order(one, other, permits), 7)))
        run.add(told, f"t.py::test_{at}", None)
    section = json.loads(json.dumps(run.section()))
    assert len(section["cycles"]) == circles
    (seats,) = [node["id"] for node in section["nodes"] if node.get("permits") == permits]
    assert [edge["gates"] for edge in section["edges"]] == [[seats]] * 3
    merged = Orders()
    merged.add_section(section, shard="one")
    assert merged.section() == section
