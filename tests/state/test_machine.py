"""One machine, used by one thread: what fires, what is refused, what is told, and in which order."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from state_helping import DOOR, frozen

from coresys.errors.hierarchy import (
    ObserverFailedError,
    RollbackError,
    StateError,
    TransitionFailedError,
    TransitionRefusedError,
)
from coresys.state import Machine, State, StateManager, TransitionTable, Trigger, inside, on
from coresys.state.history import ENTRY_BYTES
from coresys.state.scope import Scope
from coresys.system_records import TransitionRecord
from coresys.testing.fakes import FakeClock


def chain_is_whole(machine: Machine) -> bool:
    history = machine.history()
    return all(
        later.sequence == earlier.sequence + 1 and later.source == earlier.target
        for earlier, later in zip(history, history[1:], strict=False)
    ) and (not history or (history[-1].target, history[-1].sequence) == (machine.state, machine.sequence))


# -- firing ----------------------------------------------------------------------------------------------------------


def test_an_event_leads_where_the_table_says() -> None:
    door = Machine(DOOR, "front")
    assert (door.state, door.sequence, door.allowed) == ("shut", 0, ("open", "burn"))
    assert door.fire("open") == "open"
    assert door.fire("shut") == "shut"
    assert (door.state, door.sequence, door.final) == ("shut", 2, False)
    assert repr(door) == "<Machine front (door): shut, 2 transitions>"


def test_what_is_not_declared_is_refused_and_changes_nothing() -> None:
    door = Machine(DOOR, "front")
    door.fire("open")
    before = door.history()
    with pytest.raises(TransitionRefusedError) as caught:
        door.fire("open")
    assert str(caught.value) == (
        "front: 'open' refused in state 'open': it is not declared there; events declared there: shut, burn"
    )
    assert (caught.value.machine, caught.value.state, caught.value.event) == ("front", "open", "open")
    assert caught.value.allowed == ("shut", "burn")
    assert (door.state, door.sequence, door.history()) == ("open", 1, before)


def test_nothing_leads_out_of_a_final_state() -> None:
    door = Machine(DOOR)
    door.fire("burn")
    assert door.final
    with pytest.raises(TransitionRefusedError, match="events declared there: none"):
        door.fire("open")


def test_every_transition_is_in_the_history_with_cause_and_actor() -> None:
    clock = frozen()
    door = Machine(DOOR, "front", scope=Scope(clock=clock))
    door.fire("open", cause="bell", actor="ann")
    clock.move_to(1001.5)
    door.fire("shut")
    assert door.history() == (
        TransitionRecord("front", "door", 1, 1000.0, "open", "shut", "open", "bell", "ann"),
        TransitionRecord("front", "door", 2, 1001.5, "shut", "open", "shut"),
    )
    assert door.history(1) == door.history()[1:]
    assert door.history(0) == ()
    assert door.last == door.history()[-1]


def test_a_machine_that_did_nothing_has_no_history() -> None:
    door = Machine(DOOR)
    assert door.history() == ()
    assert (door.last.sequence, door.last.event, door.last.target) == (0, "", "shut")


def test_guards_are_tried_in_order_and_all_have_to_agree() -> None:
    asked: list[str] = []

    def guard(name: str) -> Callable[[Trigger], bool]:
        def ask(trigger: Trigger) -> bool:
            asked.append(f"{name}>{trigger.target}")
            return name in trigger.payload

        return ask

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b"), State("c"), State("d")],
        transitions=[
            on("go", "a", "b", guards=[guard("x"), guard("y")]),
            on("go", "a", "c", guards=[guard("z")]),
            on("go", "a", "d"),
        ],
    )
    for payload, state, questions in (
        ("xy", "b", ["x>b", "y>b"]),
        ("xz", "c", ["x>b", "y>b", "z>c"]),
        ("", "d", ["x>b", "z>c"]),
    ):
        asked.clear()
        machine = Machine(table)
        assert machine.fire("go", payload) == state
        assert asked == questions


def test_what_all_guards_are_against_is_refused() -> None:
    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b")],
        transitions=[on("go", "a", "b", guards=[lambda t: t.payload])],
    )
    machine = Machine(table)
    assert (machine.can("go", False), machine.can("go", True), machine.can("stop")) == (False, True, False)
    with pytest.raises(TransitionRefusedError, match="its guards say no"):
        machine.fire("go", False)
    assert machine.fire("go", True) == "b"


def test_a_payload_that_is_not_valid_is_refused_with_its_reason() -> None:
    def positive(trigger: Trigger) -> None:
        if trigger.payload <= 0:
            raise ValueError("an amount is positive")

    table = TransitionTable(
        "t", states=[State("a", initial=True), State("b")], transitions=[on("pay", "a", "b", validators=[positive])]
    )
    machine = Machine(table)
    assert not machine.can("pay", 0)
    with pytest.raises(TransitionRefusedError, match="not valid: ValueError: an amount is positive") as caught:
        machine.fire("pay", -1)
    assert isinstance(caught.value.__cause__, ValueError)
    assert machine.fire("pay", 1) == "b"


def test_observers_are_told_in_order_after_the_state_has_changed() -> None:
    told: list[tuple[str, str, int]] = []

    def note(name: str) -> Callable[[Trigger], None]:
        return lambda trigger: told.append((name, trigger.machine.state, trigger.sequence))

    table = TransitionTable(
        "t",
        states=[
            State("a", initial=True, exit=(note("left a"), inside(note("leaving a")))),
            State("b", entry=(note("entered b"), inside(note("entering b")))),
        ],
        transitions=[on("go", "a", "b", observers=[note("went"), inside(note("going"))])],
    )
    Machine(table).fire("go")
    assert told == [
        ("leaving a", "a", 1),  # inside: nobody sees the new state yet
        ("going", "a", 1),
        ("entering b", "a", 1),
        ("left a", "b", 1),
        ("went", "b", 1),
        ("entered b", "b", 1),
    ]


# -- failing: an exception at every place ----------------------------------------------------------------------------

PLACES = ["guard", "exit inside", "transition inside", "entry inside"]
LATE_PLACES = ["exit", "transition", "entry"]


class Planted(Exception):
    pass


def fragile(fails: str, *, error_state: bool = False, kind: type[BaseException] = Planted) -> TransitionTable:
    def part(place: str) -> Callable[[Trigger], bool]:
        def run(trigger: Trigger) -> bool:
            if place == fails and trigger.payload != "safe":
                raise kind(place)
            return True

        return run

    states = [
        State("a", initial=True, exit=(part("exit"), inside(part("exit inside")))),
        State("b", entry=(part("entry"), inside(part("entry inside")))),
    ]
    if error_state:
        states.append(State("broken", error=True))
    return TransitionTable(
        "fragile",
        states=states,
        transitions=[
            on(
                "go",
                "a",
                "b",
                guards=[part("guard")],
                observers=[part("transition"), inside(part("transition inside"))],
            ),
            on("back", "b", "a"),
            *([on("mend", "broken", "a")] if error_state else []),
        ],
    )


def everything(machine: Machine) -> tuple[Any, ...]:
    return machine.state, machine.sequence, machine.history(), machine.describe(), machine.last


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_what_raises_inside_undoes_everything(place: str, before: int) -> None:
    machine = Machine(fragile(place), "m")
    for _ in range(before):
        machine.fire("go", "safe")
        machine.fire("back")
    machine.snapshot("here")
    seen = everything(machine)
    with pytest.raises(
        TransitionFailedError, match=f"{place.split()[-1] if 'inside' not in place else 'observer'} raised"
    ) as caught:
        machine.fire("go")
    assert everything(machine) == seen
    assert isinstance(caught.value.__cause__, Planted)
    assert (caught.value.source, caught.value.state, caught.value.event) == ("a", "a", "go")
    assert machine.fire("go", "safe") == "b"  # no lock was left held, nothing was left behind
    assert chain_is_whole(machine)


@pytest.mark.parametrize("place", PLACES)
def test_what_fails_leads_to_the_declared_error_state(place: str) -> None:
    machine = Machine(fragile(place, error_state=True), "m")
    with pytest.raises(TransitionFailedError, match="undone, and the error state 'broken' entered") as caught:
        machine.fire("go", actor="ann")
    assert (caught.value.source, caught.value.state, machine.state) == ("a", "broken", "broken")
    record = machine.last
    assert (record.event, record.source, record.target, record.actor) == ("error", "a", "broken", "ann")
    assert record.cause == f"go: Planted: {place}"
    assert machine.sequence == 1
    assert machine.fire("mend") == "a"
    assert chain_is_whole(machine)


@pytest.mark.parametrize("place", LATE_PLACES)
def test_what_raises_afterwards_does_not_undo_and_says_so(place: str) -> None:
    machine = Machine(fragile(place), "m")
    with pytest.raises(ObserverFailedError, match="'go' was made") as caught:
        machine.fire("go")
    assert (machine.state, machine.sequence) == ("b", 1)
    assert [str(cause) for cause in caught.value.causes] == [place]
    assert (caught.value.source, caught.value.target, caught.value.sequence) == ("a", "b", 1)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), ObserverFailedError)


def test_all_observers_are_told_even_if_one_raises() -> None:
    told: list[str] = []

    def fail(trigger: Trigger) -> None:
        told.append("first")
        raise Planted("first")

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(lambda trigger: told.append("last"),))],
        transitions=[on("go", "a", "b", observers=[fail])],
    )
    with pytest.raises(ObserverFailedError):
        Machine(table).fire("go")
    assert told == ["first", "last"]


def test_what_observers_raise_goes_to_whoever_asked_for_it() -> None:
    seen: list[StateError] = []
    machine = StateManager(on_error=seen.append).add("m", fragile("entry"))
    assert machine.fire("go") == "b"
    assert [type(error) for error in seen] == [ObserverFailedError]


@pytest.mark.parametrize("place", PLACES)
def test_an_interruption_inside_undoes_and_is_nobody_elses_error(place: str) -> None:
    machine = Machine(fragile(place, error_state=True, kind=KeyboardInterrupt), "m")
    with pytest.raises(KeyboardInterrupt):
        machine.fire("go")
    assert (machine.state, machine.sequence, machine.history()) == ("a", 0, ())
    assert machine.fire("go", "safe") == "b"


def test_an_error_state_that_cannot_be_entered_leaves_the_machine_where_it_was() -> None:
    def fail(trigger: Trigger) -> None:
        raise Planted("again" if trigger.event == "error" else "first")

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b"), State("broken", error=True, entry=(inside(fail),))],
        transitions=[on("go", "a", "b", observers=[inside(fail)])],
    )
    machine = Machine(table, "m")
    with pytest.raises(TransitionFailedError, match="entering the error state raised Planted: again") as caught:
        machine.fire("go")
    assert (machine.state, machine.sequence, caught.value.state) == ("a", 0, "a")


def test_nothing_of_a_failure_is_kept_alive() -> None:
    class Thing:
        pass

    machine = Machine(fragile("entry inside", error_state=True))
    thing = Thing()
    gone = weakref.ref(thing)
    with pytest.raises(TransitionFailedError):
        machine.fire("go", thing)
    del thing
    gc.collect()
    assert gone() is None


# -- events from inside ----------------------------------------------------------------------------------------------


def relay(*, within: bool, then: str = "next", fail: bool = False) -> tuple[TransitionTable, list[Any]]:
    answers: list[Any] = []

    def fire_on(trigger: Trigger) -> None:
        answers.append(trigger.machine.fire(then))
        if fail:
            raise Planted("after firing")

    observer = inside(fire_on) if within else fire_on
    table = TransitionTable(
        "relay",
        states=[State("a", initial=True), State("b", entry=(observer,)), State("c")],
        transitions=[on("go", "a", "b"), on("next", "b", "c"), on("back", ["b", "c"], "a")],
    )
    return table, answers


@pytest.mark.parametrize("within", [True, False])
def test_an_event_from_inside_waits_for_the_transition_to_end(within: bool) -> None:
    table, answers = relay(within=within)
    machine = Machine(table)
    assert machine.fire("go") == "b"  # the answer is where this event led
    assert answers == [None]
    assert (machine.state, [record.event for record in machine.history()]) == ("c", ["go", "next"])


def test_an_event_from_inside_a_transition_that_fails_is_not_made() -> None:
    table, _ = relay(within=True, fail=True)
    machine = Machine(table)
    with pytest.raises(TransitionFailedError):
        machine.fire("go")
    assert (machine.state, machine.sequence) == ("a", 0)
    with pytest.raises(TransitionFailedError):  # and is not made with a later one either
        machine.fire("go")
    assert machine.sequence == 0


@pytest.mark.parametrize("within", [True, False])
def test_an_event_from_inside_that_is_refused_is_told(within: bool) -> None:
    table, _ = relay(within=within, then="go")
    machine = Machine(table)
    with pytest.raises(ObserverFailedError) as caught:
        machine.fire("go")
    assert [type(cause) for cause in caught.value.causes] == [TransitionRefusedError]
    assert (machine.state, machine.sequence) == ("b", 1)


def test_a_long_chain_of_events_from_inside_does_not_deepen() -> None:
    def again(trigger: Trigger) -> None:
        if trigger.sequence < 5000:
            trigger.machine.fire("go")

    table = TransitionTable(
        "t",
        states=[State("a", initial=True, entry=(again,)), State("b", entry=(again,))],
        transitions=[on("go", "a", "b"), on("go", "b", "a")],
    )
    machine = Machine(table)
    machine.fire("go")
    assert machine.sequence == 5000


def test_two_machines_may_fire_each_other_from_outside_their_transactions() -> None:
    machines: list[Machine] = []

    def pass_on(trigger: Trigger) -> None:
        other = machines[trigger.machine is machines[0]]
        if other.sequence < 10:
            other.fire("go")

    table = TransitionTable(
        "t",
        states=[State("a", initial=True, entry=(pass_on,)), State("b", entry=(pass_on,))],
        transitions=[on("go", "a", "b"), on("go", "b", "a")],
    )
    machines += [Machine(table, "one"), Machine(table, "two")]
    machines[0].fire("go")
    assert {machine.sequence for machine in machines} <= {9, 10, 11}
    assert all(map(chain_is_whole, machines))


def test_inside_a_transition_the_machine_can_be_read_but_not_taken_back() -> None:
    seen: list[Any] = []

    def look(trigger: Trigger) -> None:
        machine = trigger.machine
        seen.append((machine.state, machine.sequence, len(machine.history()), machine.describe().state))
        for forbidden in (lambda: machine.rollback(1), lambda: machine.can("go"), lambda: machine.snapshot("s")):
            with pytest.raises(StateError, match="from inside a transition of its own"):
                forbidden()

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(inside(look),))],
        transitions=[on("go", "a", "b"), on("back", "b", "a")],
    )
    machine = Machine(table)
    machine.fire("go")
    assert seen == [("a", 0, 0, "a")]
    assert machine.state == "b"


def test_an_event_from_inside_another_threads_transition_is_not_taken_from_it() -> None:
    """One thread made its transition and is about to tell; another is inside one that will fail, and has fired."""
    about_to_tell, told, inside_other = threading.Event(), threading.Event(), threading.Event()

    class Slow(Machine):
        def _begin_telling(self, made: Any) -> Any:
            if made.trigger.payload == "first":
                about_to_tell.set()
                inside_other.wait()
                told.set()
            return super()._begin_telling(made)

    def within(trigger: Trigger) -> None:
        if trigger.payload == "second":
            trigger.machine.fire("a")
            inside_other.set()
            told.wait()
            raise Planted

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b")],
        transitions=[
            on("a", "b", "a"),
            on("go", "a", "b", observers=[lambda trigger: None]),
            on("go", "b", "a", observers=[inside(within)]),
        ],
    )
    machine = Slow(table)
    first = threading.Thread(target=machine.fire, args=("go", "first"))
    first.start()
    about_to_tell.wait()
    with pytest.raises(TransitionFailedError):
        machine.fire("go", "second")
    first.join()
    assert (machine.state, [record.event for record in machine.history()]) == ("b", ["go"])


def test_an_event_of_a_finalizer_that_runs_while_the_lock_is_held_is_made_afterwards() -> None:
    class Last:
        def __init__(self, machine: Machine) -> None:
            self.machine = machine

        def __del__(self) -> None:
            self.machine.fire("shut")

    door = Machine(DOOR, "front")

    class Dropping(FakeClock):
        def time(self) -> float:
            held.clear()  # as a collection of garbage would, in the midst of a transition
            return super().time()

    door = Machine(DOOR, "front", scope=Scope(clock=Dropping()))
    held = [Last(door)]
    assert door.fire("open") == "open"
    assert (door.state, [record.event for record in door.history()]) == ("shut", ["open", "shut"])


# -- going back ------------------------------------------------------------------------------------------------------


def walked(*, scope: Scope | None = None) -> Machine:
    door = Machine(DOOR, "front", scope=scope or Scope())
    for event in ("open", "shut", "open"):
        door.fire(event)
    return door


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ({}, "shut"),
        ({"steps": 1}, "shut"),
        ({"steps": 2}, "open"),
        ({"steps": 3}, "shut"),
        ({"to_sequence": 1}, "open"),
        ({"to_sequence": 0}, "shut"),
    ],
)
def test_going_back_is_a_transition_with_the_next_number(how: dict[str, Any], state: str) -> None:
    door = walked()
    assert door.rollback(**how, cause="mistake", actor="ann") == state
    record = door.last
    assert (record.sequence, record.event, record.source, record.target) == (4, "rollback", "open", state)
    assert (record.cause, record.actor) == ("mistake", "ann")
    assert chain_is_whole(door)


def test_going_back_twice_takes_the_first_back() -> None:
    door = walked()
    door.rollback(2)
    door.rollback(1)
    assert door.state == "open"


def test_a_named_snapshot_is_gone_back_to_and_may_be_taken_anew() -> None:
    door = walked()
    assert door.snapshot("good") == 3
    door.fire("burn")
    assert door.rollback(to_snapshot="good") == "open"
    door.fire("shut")
    door.snapshot("good")
    door.fire("open")
    assert door.rollback(to_snapshot="good") == "shut"


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"steps": 4}, "cannot go back to 4 steps before: it has made 3 transitions"),
        ({"steps": 0}, "it has made 3 transitions"),
        ({"steps": -1}, "it has made 3 transitions"),
        ({"to_sequence": 3}, "cannot go back to number 3: it has made 3 transitions"),
        ({"to_sequence": -1}, "cannot go back to number -1"),
        ({"to_snapshot": "x"}, "cannot go back to snapshot 'x': there are none"),
    ],
)
def test_where_there_is_nothing_to_go_back_to_nothing_changes(how: dict[str, Any], problem: str) -> None:
    door = walked()
    with pytest.raises(RollbackError, match=problem):
        door.rollback(**how)
    assert (door.state, door.sequence) == ("open", 3)


def test_only_one_way_of_going_back_is_taken() -> None:
    with pytest.raises(ValueError, match="takes one of steps, to_sequence and to_snapshot"):
        walked().rollback(1, to_sequence=1)


def test_going_back_tells_watchers_and_no_observers() -> None:
    told: list[str] = []
    table = TransitionTable(
        "t",
        states=[State("a", initial=True, entry=(lambda trigger: told.append("a"),)), State("b")],
        transitions=[on("go", "a", "b"), on("back", "b", "a")],
    )
    manager = StateManager()
    machine = manager.add("m", table)
    stop = manager.watch(lambda record: told.append(record.event))
    machine.fire("go")
    machine.rollback()
    stop()
    machine.fire("go")
    assert told == ["go", "rollback"]


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_the_history_is_bounded_by_count() -> None:
    door = Machine(DOOR, scope=Scope(history_count=3))
    for _ in range(5):
        door.fire("open")
        door.fire("shut")
    assert [record.sequence for record in door.history()] == [8, 9, 10]
    assert door.rollback(to_sequence=7) == "open"  # where the oldest began is known too
    with pytest.raises(RollbackError, match="the history that is kept begins with 9"):
        door.rollback(to_sequence=1)


@pytest.mark.parametrize("text", ["x" * 300, "ä" * 100])
def test_the_history_is_bounded_by_bytes(text: str) -> None:
    limit = 20 * ENTRY_BYTES
    door = Machine(DOOR, scope=Scope(history_count=1000, history_bytes=limit))
    for number in range(200):
        door.fire(("open", "shut")[number % 2], cause=text if number % 3 else None, actor=text)
        taken = sum(
            ENTRY_BYTES + sum(len((each or "").encode("utf-8")) for each in (record.cause, record.actor))
            for record in door.history()
        )
        assert taken <= limit
    assert len(door.history()) >= 3
    assert chain_is_whole(door)


def test_without_texts_the_bytes_are_a_count() -> None:
    door = Machine(DOOR, scope=Scope(history_count=1000, history_bytes=20 * ENTRY_BYTES))
    for number in range(200):
        door.fire(("open", "shut")[number % 2])
    assert len(door.history()) == 20


def test_one_entry_that_is_larger_than_the_bound_is_kept_alone() -> None:
    door = Machine(DOOR, scope=Scope(history_bytes=ENTRY_BYTES))
    door.fire("open", cause="x" * 10_000)
    assert [record.sequence for record in door.history()] == [1]
    door.fire("shut")
    assert [record.sequence for record in door.history()] == [2]


# -- async, copying --------------------------------------------------------------------------------------------------


def slow_table(told: list[str]) -> TransitionTable:
    async def mail(trigger: Trigger) -> None:
        told.append(f"begin {trigger.event}")
        await asyncio.sleep(0)
        told.append(f"end {trigger.event}")

    return TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(mail, lambda trigger: told.append("plain")))],
        transitions=[on("go", "a", "b"), on("back", "b", "a")],
    )


def test_asynchronous_observers_are_awaited_in_order() -> None:
    told: list[str] = []
    machine = Machine(slow_table(told))
    assert asyncio.run(machine.fire_async("go")) == "b"
    assert told == ["begin go", "end go", "plain"]


def test_an_event_with_asynchronous_observers_is_refused_where_nobody_awaits_them() -> None:
    told: list[str] = []
    machine = Machine(slow_table(told), "m")
    with pytest.raises(TransitionRefusedError, match="fire it by 'await fire_async"):
        machine.fire("go")
    assert (machine.state, told) == ("a", [])


def test_two_tasks_of_one_loop_are_not_taken_for_one_another() -> None:
    entered = asyncio.Event()
    leave = asyncio.Event()
    told: list[str] = []

    async def wait(trigger: Trigger) -> None:
        entered.set()
        await leave.wait()
        trigger.machine.fire("next")  # from inside: waits for this transition
        told.append(trigger.machine.state)

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(wait,)), State("c"), State("d")],
        transitions=[on("go", "a", "b"), on("cross", "b", "d"), on("next", "d", "c"), on("next", "b", "c")],
    )

    async def main() -> tuple[str | None, str | None]:
        machine = Machine(table)
        first = asyncio.ensure_future(machine.fire_async("go"))
        await entered.wait()
        crossing = machine.fire("cross")  # another task: at once
        leave.set()
        return await first, crossing

    assert asyncio.run(main()) == ("b", "d")
    assert told == ["d"]


def test_a_task_that_outlives_the_observer_it_came_from_fires_by_itself() -> None:
    async def main() -> tuple[str | None, list[str | None]]:
        go_on = asyncio.Event()
        answers: list[str | None] = []
        tasks: list[asyncio.Task[None]] = []

        async def later(machine: Machine) -> None:
            await go_on.wait()
            answers.append(machine.fire("back"))

        async def start(trigger: Trigger) -> None:
            tasks.append(asyncio.ensure_future(later(trigger.machine)))

        table = TransitionTable(
            "t",
            states=[State("a", initial=True), State("b", entry=(start,))],
            transitions=[on("go", "a", "b"), on("back", "b", "a")],
        )
        machine = Machine(table)
        first = await machine.fire_async("go")
        go_on.set()
        await tasks[0]
        return first, answers

    assert asyncio.run(main()) == ("b", ["a"])


def test_a_task_that_is_cancelled_while_observers_are_told_leaves_the_transition_made() -> None:
    async def main() -> Machine:
        entered = asyncio.Event()

        async def wait(trigger: Trigger) -> None:
            entered.set()
            await asyncio.Event().wait()

        table = TransitionTable(
            "t",
            states=[State("a", initial=True), State("b", entry=(wait,))],
            transitions=[on("go", "a", "b"), on("back", "b", "a")],
        )
        machine = Machine(table)
        task = asyncio.ensure_future(machine.fire_async("go"))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert machine.fire("back") == "a"  # not queued for a transition that is over
        return machine

    assert asyncio.run(main()).sequence == 2


def test_a_machine_is_neither_copied_nor_pickled() -> None:
    door = Machine(DOOR, "front")
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="machine 'front' holds a lock"):
            attempt(door)


def test_every_error_survives_pickling() -> None:
    errors = [
        TransitionRefusedError(machine="m", state="s", event="e", reason="r", allowed=("x",)),
        TransitionFailedError(machine="m", source="s", event="e", phase="guard", problem="p", state="t"),
        ObserverFailedError(machine="m", event="e", source="s", target="t", sequence=1, causes=(ValueError("v"),)),
        RollbackError(machine="m", wanted="w", problem="p"),
    ]
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
        assert set(vars(again)) == set(vars(error))
