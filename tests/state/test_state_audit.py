"""Faults that an audit found, each as it was shown, and what has to be instead."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from state_helping import DOOR

from coresys.errors.hierarchy import ObserverFailedError, TableError, TransitionFailedError, TransitionRefusedError
from coresys.state import Machine, SQLiteStore, State, StateManager, TransitionTable, Trigger, inside, on
from coresys.system_records import TransitionRecord


def two_states(*observers: Any, **more: Any) -> TransitionTable:
    return TransitionTable(
        "two",
        states=[State("a", initial=True), State("b", entry=observers)],
        transitions=[on("go", "a", "b", **more), on("go", "b", "a")],
    )


# -- what guards and validators are given ----------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("role", ["guards", "validators", "observers"])
@pytest.mark.parametrize(("name", "value"), [("actor", 7), ("cause", b"x"), ("event", "forged"), ("time", 0.0)])
def test_what_is_told_of_a_transition_cannot_be_changed_on_its_way(
    tmp_path: Path, stored: bool, role: str, name: str, value: object
) -> None:
    def change(trigger: Trigger) -> bool:
        setattr(trigger, name, value)
        return True

    asked: dict[str, Any] = {role: [inside(change) if role == "observers" else change]}
    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b")],
        transitions=[on("x", "a", "b", **asked), on("y", "a", "b")],
    )
    with StateManager(store=SQLiteStore(tmp_path / "s.db") if stored else None) as manager:
        seen: list[TransitionRecord] = []
        manager.watch(seen.append)
        machine = manager.add("m", table)
        with pytest.raises((TransitionFailedError, TransitionRefusedError), match="AttributeError"):
            machine.fire("x", cause="a cause")
        assert (machine.state, machine.sequence, machine.history(), seen) == ("a", 0, (), [])
        assert machine.fire("y", actor="ann") == "b"
        assert [(each.sequence, each.event, each.actor) for each in seen] == [(1, "y", "ann")]
        assert machine.history() == tuple(seen)


# -- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["initial", "name", "error_state", "edges", "transitions", "timed"])
def test_a_table_cannot_be_changed(name: str) -> None:
    before = getattr(DOOR, name)
    with pytest.raises(AttributeError, match="immutable"):
        setattr(DOOR, name, "zzz")
    with pytest.raises(AttributeError, match="immutable"):
        delattr(DOOR, name)
    assert getattr(DOOR, name) is before


def test_the_edges_of_a_table_are_read_and_not_changed() -> None:
    edges: Any = DOOR.edges
    for changed in (edges, edges["shut"]):
        with pytest.raises(AttributeError):
            changed.clear()
        with pytest.raises(TypeError):
            changed["shut"] = None
    assert list(DOOR.edges) == ["shut", "open", "gone"]
    assert DOOR.edges["shut"]["open"].target == "open"
    assert Machine(DOOR).fire("open") == "open"


@dataclass
class AtLeast:
    """A guard that compares by value, and so has no hash."""

    least: int

    def __call__(self, trigger: Trigger) -> bool:
        return int(trigger.payload) >= self.least


def test_guards_that_have_no_hash_are_guards() -> None:
    machine = Machine(
        TransitionTable(
            "t",
            states=[State("a", initial=True), State("much"), State("some")],
            transitions=[
                on("go", "a", "much", guards=[AtLeast(10)]),
                on("go", "a", "some", guards=[AtLeast(1)]),
            ],
        )
    )
    with pytest.raises(TransitionRefusedError):
        machine.fire("go", 0)
    assert machine.fire("go", 5) == "some"
    with pytest.raises(TableError, match="decides nothing"):
        TransitionTable(
            "t",
            states=[State("a", initial=True), State("b"), State("c")],
            transitions=[
                on("go", "a", "b", guards=[AtLeast(1)]),
                on("go", "a", "c", guards=[AtLeast(2), AtLeast(1)]),
            ],
        )


# -- what is asynchronous behind a plain function --------------------------------------------------------------------


async def no(trigger: Trigger) -> bool:
    return False


def test_a_guard_whose_answer_would_have_to_be_awaited_lets_nothing_pass() -> None:
    machine = Machine(two_states(guards=[lambda t: no(t)]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TransitionFailedError, match=r"guard raised TypeError: .*lambda.* awaited"):
            machine.fire("go")
        with pytest.raises(TypeError, match="awaited"):
            machine.can("go")
    assert (machine.state, machine.sequence) == ("a", 0)


def test_a_validator_whose_answer_would_have_to_be_awaited_lets_nothing_pass() -> None:
    machine = Machine(two_states(validators=[lambda t: no(t)]))
    with pytest.raises(TransitionRefusedError, match=r"not valid: TypeError: .*lambda.* awaited"):
        machine.fire("go")
    assert machine.state == "a"


def test_an_observer_inside_that_would_have_to_be_awaited_undoes() -> None:
    machine = Machine(two_states(inside(lambda t: no(t))))
    with pytest.raises(TransitionFailedError, match=r"observer raised TypeError: .*lambda.* awaited"):
        machine.fire("go")
    assert (machine.state, machine.sequence) == ("a", 0)


def test_an_observer_that_would_have_to_be_awaited_is_told_where_nobody_awaits() -> None:
    told: list[str] = []
    machine = Machine(two_states(lambda t: no(t), lambda t: told.append(t.target)))
    with pytest.raises(ObserverFailedError, match=r"TypeError: .*lambda.* awaited"):
        machine.fire("go")
    assert (machine.state, told) == ("b", ["b"])
