"""The order of locks of a run, put together from what its tests tell: what a semaphore of some permits excuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coresys.records import Location
from coresys.threads.watching.graph import Edge, Node, Order
from pytest_coresys.reports.orders import Orders, with_lock_ids
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


def section_of(*pairs: tuple[int, int]) -> dict[str, Any]:
    run = Orders()
    for at, (one, other) in enumerate(pairs):
        run.add(json.loads(json.dumps(order_to_dict(order(one, other, 2), 7))), f"t.py::test_{at}", None)
    return run.section()


def test_a_finding_names_the_nodes_of_its_locks_those_that_its_tests_took_if_that_is_known() -> None:
    section = section_of((1, 2), (2, 3))
    names = {node["id"]: node["name"] for node in section["nodes"]}

    def named(locks: list[str], test: str = "", tests: tuple[str, ...] = ()) -> list[str]:
        (found,) = with_lock_ids([{"locks": locks, "tests": list(tests)}], section, test)
        return [names[number] for number in found["lock_ids"]]

    assert named(["a.py:1", "a.py:2"], "t.py::test_0") == ["fork1", "fork2"]
    assert named(["a.py:1", "a.py:3"], tests=("t.py::test_0", "t.py::test_1")) == ["fork1", "fork3"]
    assert named(["a.py:1", "a.py:3"], "t.py::test_0") == ["fork1"]
    assert named(["a.py:3"], "t.py::test_0") == ["fork3"], "an edge names but so many tests"
    assert named(["b.py:1"]) == []
    assert with_lock_ids([{"key": "memory.growth"}], section) == [{"key": "memory.growth"}]


def test_a_node_tells_in_which_function_it_is_made_in_merged_runs_too() -> None:
    run = Orders()
    made = Node(1, "lock", "pool", Location("a.py", 1, "make"), "module")
    run.add(json.loads(json.dumps(order_to_dict(Order((made,), ()), 7))), "t.py::a", None)
    section = json.loads(json.dumps(run.section()))
    assert [node["function"] for node in section["nodes"]] == ["make"]
    merged = Orders()
    merged.add_section(section, shard="one")
    assert merged.section() == section
    of_before = json.loads(json.dumps(section))
    del of_before["nodes"][0]["function"]
    merged = Orders()
    merged.add_section(of_before, shard="one")
    assert merged.section()["nodes"][0]["function"] == ""
    merged.add_section(section, shard="two")
    assert merged.section() == section
