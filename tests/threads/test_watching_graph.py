"""The order graph: which circles are found in it, and that looking for them ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations

import pytest

from coresys.records import Location
from coresys.threads.watching import graph
from coresys.threads.watching.graph import Edge, cycles, search
from coresys.threads.watching.install import install, uninstall
from coresys.threads.watching.locks import Lock
from pytest_coresys.probes.locks import LockOrder

GATE = 1000


def edge(source: int, target: int, held: int = 1, taken: int = 2, gates: Iterable[int] = ()) -> Edge:
    return Edge(source, target, "T", Location("app.py", held), Location("app.py", taken), frozenset(gates))


def test_locks_that_one_line_takes_in_all_orders_are_one_circle_and_soon_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_STEPS", 20_000)  # to go all ways of up to eight of them would be some 3e10
    found, complete = search(edge(one, other) for one, other in permutations(range(30), 2))
    assert complete
    assert [[(each.source, each.target) for each in cycle] for cycle in found] == [[(0, 1), (1, 0)]]


def test_a_gate_around_all_orders_is_soon_seen_to_excuse_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_STEPS", 10)
    taken = [edge(one, other, one, other, {GATE}) for one, other in permutations(range(30), 2)]
    assert search(taken) == ([], True)


def test_a_long_way_round_is_found_among_many_that_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_STEPS", 5_000)
    forwards = [edge(one, other, one, other) for one in range(40) for other in range(one + 1, min(one + 12, 40))]
    back = edge(39, 0, 1000, 1001)
    found, complete = search([*forwards, back])
    assert found
    assert all(back in cycle for cycle in found)
    assert complete


def test_it_is_said_when_there_were_too_many_ways_to_go_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_STEPS", 10)
    taken = [edge(one, other, one, other, {GATE + (one + other) % 2}) for one, other in permutations(range(30), 2)]
    assert search(taken) == ([], False)


def test_an_order_that_was_seen_with_very_many_gates_is_still_told() -> None:
    there = [edge(1, 2, gates={100 + number}) for number in range(20_000)]
    back = edge(2, 1, 3, 4, gates={101})
    assert cycles([*there, back]) == [(there[0], back)]


def test_of_two_edges_the_one_with_fewer_gates_can_close_a_circle() -> None:
    gated, free, back = edge(1, 2, gates={GATE}), edge(1, 2), edge(2, 1, 3, 4, gates={GATE})
    assert cycles([gated, free, back]) == [(free, back)]
    assert cycles([gated, back]) == []


def test_of_two_edges_the_one_without_a_permit_can_close_a_circle() -> None:
    seats = frozenset({(GATE, 2)})
    free = edge(1, 2)
    first, second, third = (replace(each, permits=seats) for each in (free, edge(2, 3, 3, 4), edge(3, 1, 5, 6)))
    assert cycles([first, free, second, third]) == [(free, second, third)]
    assert cycles([first, second, third]) == []


def test_a_test_whose_orders_cannot_all_be_looked_through_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_STEPS", 1)
    locks = [Lock() for _ in range(4)]
    probe = LockOrder()
    install()
    try:
        probe.start()
        for one, other in permutations(locks, 2):
            with one, other:
                pass
        reading = probe.stop()
    finally:
        uninstall()
    assert reading.value is None
    assert reading.why is not None
    assert "12 orders of locks make too many ways" in reading.why
