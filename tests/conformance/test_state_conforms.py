"""What IStateManager promises."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from conforming import DOOR, at_once

from coresys.errors.hierarchy import (
    DuplicateMachineError,
    RollbackError,
    TableError,
    TransitionRefusedError,
    UnknownMachineError,
)
from coresys.interfaces import IStateManager
from coresys.system_records import StateDefinition, TransitionRecord

ROLE = "state"


def test_a_machine_begins_in_its_initial_state(one: IStateManager) -> None:
    one.define("a", DOOR)
    assert "a" in one.names()
    assert one.state("a") == "shut"
    found = one.describe("a")
    assert (found.name, found.table, found.state, found.sequence, found.last) == ("a", "door", "shut", 0, None)
    assert one.history("a") == ()


def test_a_name_that_is_taken_is_refused_and_nothing_changed(one: IStateManager) -> None:
    one.define("a", DOOR)
    one.fire("a", "push")
    with pytest.raises(DuplicateMachineError):
        one.define("a", DOOR)
    assert (one.state("a"), one.describe("a").sequence) == ("open", 1)
    assert one.names().count("a") == 1


def test_a_definition_that_cannot_be_is_refused_and_nothing_is_held(one: IStateManager) -> None:
    before = one.names()
    with pytest.raises(TableError):
        one.define("a", StateDefinition("door", ("shut",), "ajar", ()))
    with pytest.raises(ValueError, match="name"):
        one.define("", DOOR)
    assert one.names() == before
    one.define("a", DOOR)  # its name was not taken


def test_a_transition_is_told_as_it_was_made(one: IStateManager) -> None:
    one.define("a", DOOR)
    record = one.fire("a", "push", {"by": "hand"}, cause="wind", actor="me")
    assert record is not None
    assert (record.machine, record.table, record.sequence, record.event) == ("a", "door", 1, "push")
    assert (record.source, record.target, record.cause, record.actor) == ("shut", "open", "wind", "me")
    assert one.state("a") == one.describe("a").state == "open"
    assert one.describe("a").last == record
    assert one.history("a") == (record,)


def test_an_event_that_is_not_declared_changes_nothing(one: IStateManager) -> None:
    one.define("a", DOOR)
    made = one.fire("a", "push")
    for event in ("push", "kick"):
        with pytest.raises(TransitionRefusedError):
            one.fire("a", event)
        assert (one.state("a"), one.describe("a").sequence, one.history("a")) == ("open", 1, (made,))


def test_of_what_is_not_held_nothing_is_told(one: IStateManager) -> None:
    one.define("a", DOOR)
    asked: list[Callable[[], object]] = [
        lambda: one.state("unheard of"),
        lambda: one.describe("unheard of"),
        lambda: one.fire("unheard of", "push"),
        lambda: one.fire_all({"a": "push", "unheard of": "push"}),
        lambda: one.history("unheard of"),
        lambda: one.rollback("unheard of"),
        lambda: one.snapshot("unheard of", "here"),
        lambda: one.release("unheard of"),
    ]
    for question in asked:
        with pytest.raises(UnknownMachineError) as caught:
            question()
        assert caught.value.machine.endswith("unheard of")
    assert (one.describe("a").sequence, "unheard of" in one.names()) == (0, False)


def test_of_several_transitions_all_are_made_or_none(one: IStateManager) -> None:
    for name in ("a", "b"):
        one.define(name, DOOR)
    made = one.fire_all({"a": "push", "b": "push"}, {"a": 1}, cause="wind", actor="me")
    assert [(each.machine, each.target, each.cause, each.actor) for each in made] == [
        ("a", "open", "wind", "me"),
        ("b", "open", "wind", "me"),
    ]
    one.fire("b", "pull")
    with pytest.raises(TransitionRefusedError):
        one.fire_all({"a": "pull", "b": "pull"})
    assert (one.state("a"), one.describe("a").sequence) == ("open", 1)
    assert (one.state("b"), one.describe("b").sequence) == ("shut", 2)


def test_a_history_is_told_oldest_first_without_a_gap(one: IStateManager) -> None:
    one.define("a", DOOR)
    made = tuple(one.fire("a", event) for event in ("push", "pull") * 3)
    assert one.history("a") == made
    assert one.history("a", 2) == made[-2:]
    assert one.history("a", 100) == made
    assert one.history("a", 0) == ()


def test_to_go_back_is_a_transition_of_its_own(one: IStateManager) -> None:
    one.define("a", DOOR)
    one.fire("a", "push")
    assert one.snapshot("a", "ajar") == 1
    one.fire("a", "pull")
    assert one.rollback("a", cause="wind", actor="me") == "open"
    last = one.describe("a").last
    assert last is not None
    assert (last.machine, last.sequence, last.source, last.target) == ("a", 3, "shut", "open")
    assert (last.cause, last.actor) == ("wind", "me")
    assert one.rollback("a", 2) == "open"  # as it stood after the first
    assert one.rollback("a", to_sequence=0) == one.state("a") == "shut"
    assert one.rollback("a", to_snapshot="ajar") == one.state("a") == "open"
    assert one.describe("a").sequence == len(one.history("a")) == 6
    assert one.describe("a").snapshots == (("ajar", "open", 1),)


def test_where_there_is_nothing_to_go_back_to_nothing_changes(one: IStateManager) -> None:
    one.define("a", DOOR)
    one.fire("a", "push")
    wrong: list[Callable[[], str]] = [
        lambda: one.rollback("a", 2),
        lambda: one.rollback("a", to_sequence=7),
        lambda: one.rollback("a", to_snapshot="nowhere"),
    ]
    for back in wrong:
        with pytest.raises(RollbackError):
            back()
        assert (one.state("a"), one.describe("a").sequence) == ("open", 1)


def test_what_is_released_is_not_there_and_its_name_is_free(one: IStateManager) -> None:
    for name in ("a", "b"):
        one.define(name, DOOR)
    one.fire("a", "push")
    one.release("a")
    assert ("a" in one.names(), "b" in one.names()) == (False, True)
    with pytest.raises(UnknownMachineError):
        one.state("a")
    one.define("a", DOOR)
    assert (one.state("a"), one.describe("a").sequence, one.history("a")) == ("shut", 0, ())


def test_the_figures_say_what_is_held_and_what_became_of_events(one: IStateManager) -> None:
    before = one.statistics()
    for name in ("a", "b"):
        one.define(name, DOOR)
    one.fire("a", "push")
    one.fire_all({"a": "pull", "b": "push"})
    one.rollback("b")
    one.fire("b", "push")
    for event in ("push", "kick"):
        with pytest.raises(TransitionRefusedError):
            one.fire("b", event)
    after = one.statistics()
    assert after == one.statistics(), "to read it disturbs nobody"
    assert (after.machines - before.machines, after.transitions - before.transitions) == (2, 5)
    assert (after.refused - before.refused, after.failed - before.failed) == (2, 0)
    assert {("door", "shut", 1), ("door", "open", 1)} <= set(after.in_state)


def test_the_transitions_of_many_threads_make_one_chain(one: IStateManager) -> None:
    one.define("a", DOOR)
    made: list[TransitionRecord | None] = []

    def work() -> None:
        for _ in range(10):
            for event in ("push", "pull"):
                with suppress(TransitionRefusedError):
                    made.append(one.fire("a", event))

    at_once(*[work] * 6)
    assert one.describe("a").sequence == len(made)
    chain = sorted((each for each in made if each is not None), key=lambda each: each.sequence)
    assert [each.sequence for each in chain] == list(range(1, len(made) + 1))
    at = "shut"
    for each in chain:
        assert each.source == at
        at = each.target
    assert one.state("a") == at
    kept = one.history("a")
    assert list(kept) == chain[-len(kept) :]


def test_of_many_threads_that_define_one_machine_one_does(one: IStateManager) -> None:
    defined, refused = list[int](), list[int]()

    def define(number: int) -> None:
        try:
            one.define("a", DOOR)
            defined.append(number)
        except DuplicateMachineError:
            refused.append(number)

    at_once(*(partial(define, number) for number in range(6)))
    assert (len(defined), len(refused), one.names().count("a")) == (1, 5, 1)


def test_two_never_meet(one: IStateManager, other: IStateManager) -> None:
    held = set(other.names())
    for name in ("a", "a/b"):
        one.define(name, DOOR)
    assert set(other.names()) == held
    before = other.statistics()
    other.define("a", DOOR)
    one.fire("a", "push")
    one.snapshot("a", "ajar")
    one.fire_all({"a": "pull", "a/b": "push"})
    one.rollback("a")
    after = other.statistics()
    assert (other.state("a"), other.describe("a").sequence, other.history("a")) == ("shut", 0, ())
    assert other.describe("a").snapshots == ()
    assert (after.machines, after.transitions) == (before.machines + 1, before.transitions)
    with pytest.raises(UnknownMachineError):
        other.state("a/b")
    one.release("a")
    assert (other.state("a"), "a" in one.names()) == ("shut", False)
