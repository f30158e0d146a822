"""What errors of machines and stores keep alive: nothing, once they were handled."""

from __future__ import annotations

import gc
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coresys.errors.hierarchy import StateError
from coresys.state import SQLiteStore, State, StateManager, TransitionTable, Trigger, on


class Document:
    """What a caller has in hand."""


def refuses(trigger: Trigger) -> None:
    if trigger.payload == 0:
        raise ValueError("nothing is no order")


ORDER = TransitionTable(
    "order",
    states=[State("new", initial=True), State("placed")],
    transitions=[on("place", "new", "placed", validators=[refuses])],
)


@pytest.fixture
def states(tmp_path: Path) -> Iterator[StateManager]:
    with StateManager(store=SQLiteStore(tmp_path / "orders.db", timeout=0.0)) as manager:
        manager.add("order", ORDER)
        yield manager


@pytest.fixture
def other(states: StateManager, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "orders.db", isolation_level=None)
    yield connection
    connection.close()


def call(function: Callable[[], object], document: Document) -> None:
    assert document
    function()


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("add to a locked store", "locked"),
        ("fire with a locked store", "locked"),
        ("add a name that the store has", "exists already"),
        ("fire what is not valid", "nothing is no order"),
        ("fire what is not declared", "not declared"),
    ],
)
def test_an_error_is_gone_when_it_was_handled_with_all_that_callers_had_in_hand(
    states: StateManager, other: sqlite3.Connection, what: str, problem: str
) -> None:
    if "locked" in what:
        other.execute("BEGIN IMMEDIATE")
    if "the store has" in what:
        states.release("order", keep=True)
    calls: dict[str, Callable[[], object]] = {
        "add to a locked store": lambda: states.add("another", ORDER),
        "fire with a locked store": lambda: states.fire("order", "place", 1),
        "add a name that the store has": lambda: states.add("order", ORDER),
        "fire what is not valid": lambda: states.fire("order", "place", 0),
        "fire what is not declared": lambda: states.fire("order", "pay"),
    }
    gc.collect()
    gc.disable()
    try:
        document = Document()
        seen = weakref.ref(document)
        with pytest.raises(StateError, match=problem) as caught:
            call(calls[what], document)
        del document, caught
        assert seen() is None
    finally:
        gc.enable()
