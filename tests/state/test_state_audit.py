"""Faults that an audit found, each as it was shown, and what has to be instead."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sqlite3
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from state_helping import DOOR, FLIP, frozen

from coresys.errors import ErrorManager, ErrorState, ErrorStates
from coresys.errors.hierarchy import (
    ObserverFailedError,
    RollbackError,
    StateError,
    StoreConflictError,
    StoreError,
    TableError,
    TransitionFailedError,
    TransitionRefusedError,
)
from coresys.state import Machine, SQLiteStore, State, StateManager, TransitionTable, Trigger, after, inside, on
from coresys.state import machine as machine_module
from coresys.state.timers import AGAIN
from coresys.system_records import ErrorRecord, StateDefinition, TransitionRecord
from coresys.testing.fakes import RecordingMonitoringManager, RecordingStateManager

LATE = TransitionTable(
    "late", states=[State("a", initial=True), State("b")], transitions=[after(3600, "a", "b", event="late")]
)


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


# -- timers, and the end of a manager ---------------------------------------------------------------------------------


def in_time(work: Callable[[], object]) -> bool:
    """Whether ``work`` ends, on a thread of its own; what it raises comes out."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    if raised:
        raise raised[0]
    return not thread.is_alive()


def leave(trigger: Trigger) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(
            TransitionTable(
                "t",
                states=[State("a", initial=True), State("b")],
                transitions=[after(10, "a", "b", event="late", observers=[inside(leave)])],
            ),
            id="observer",
        ),
        pytest.param(
            TransitionTable(
                "t",
                states=[State("a", initial=True), State("b")],
                transitions=[after(10, "a", "b", event="late", guards=[leave])],
            ),
            id="guard",
        ),
    ],
)
def test_a_timer_that_ends_its_thread_each_time_is_not_tried_again_at_once(table: TransitionTable) -> None:
    clock = frozen()
    manager = StateManager(clock=clock, timers="manual")
    machine = manager.add("m", table)
    clock.advance(10)
    with pytest.raises(SystemExit):
        manager.run_due()
    assert manager.run_due() == 0
    assert manager.next_due() == clock.time() + AGAIN
    clock.advance(AGAIN)
    with pytest.raises(SystemExit):
        manager.run_due()
    assert (machine.state, len(machine.describe().timers)) == ("a", 1)


@pytest.mark.parametrize("place", ["guards", "observers"])
def test_a_manager_may_be_closed_from_inside_a_transition_while_a_timer_waits_for_it(place: str) -> None:
    clock = frozen()
    manager = StateManager(clock=clock)

    def close(trigger: Trigger) -> bool:
        clock.advance(100)
        manager.add("n", quick)  # which wakes the thread
        while any(entry[2]() is machine for entry in manager._timers._heap):
            time.sleep(0)  # until the timer of this machine was taken up, and waits for this transition to end
        manager.close()
        return True

    asked: dict[str, Any] = {place: [inside(close) if place == "observers" else close]}
    quick = TransitionTable(
        "quick", states=[State("a", initial=True), State("b")], transitions=[after(1, "a", "b", event="late")]
    )
    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b"), State("c")],
        transitions=[after(10, "a", "c", event="late"), on("go", "a", "b", **asked)],
    )
    machine = manager.add("m", table)
    thread = manager._timers._thread
    assert in_time(lambda: machine.fire("go"))
    assert thread is not None
    thread.join(20)
    assert (machine.state, thread.is_alive(), manager.state("n")) == ("b", False, "a")


@pytest.mark.parametrize("held", [False, True])
def test_a_manager_that_nobody_refers_to_is_gone_and_so_is_its_thread(held: bool) -> None:
    manager = StateManager()
    machine = manager.add("m", LATE)
    thread = manager._timers._thread
    assert thread is not None
    gone = weakref.ref(manager)
    del manager
    if held:  # whoever has one of its machines has it too
        gc.collect()
        assert gone() is not None
        assert thread.is_alive()
        assert machine.fire("late") == "b"
    del machine
    gc.collect()
    assert gone() is None
    thread.join(20)
    assert not thread.is_alive()


# -- two who use one file --------------------------------------------------------------------------------------------


def test_who_lost_a_conflict_reloads_the_machine_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    with StateManager(store=SQLiteStore(path)) as first, StateManager(store=SQLiteStore(path)) as second:
        machine = first.add("m", FLIP)
        machine.fire("go", cause="of the first")
        machine.snapshot("mine")
        second.recover([FLIP])
        for _ in range(3):
            second.fire("m", "go", cause="of the second")
        second.snapshot("m", "theirs")
        with pytest.raises(TransitionFailedError, match="StoreConflictError"):
            machine.fire("go")
        assert first.reload("m").sequence == 4
        assert (machine.state, machine.sequence) == ("a", 4)
        assert machine.history() == second.history("m")
        assert [label for label, _, _ in machine.describe().snapshots] == ["mine", "theirs"]
        assert machine.rollback(1) == "b"
        assert machine.fire("go") == "a"
        assert first.history("m")[-1].sequence == 6


def test_who_lost_a_conflict_lets_the_machine_go_and_leaves_it_to_the_other(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    with StateManager(store=SQLiteStore(path)) as first, StateManager(store=SQLiteStore(path)) as second:
        old = first.add("m", FLIP)
        second.recover([FLIP])
        second.fire("m", "go")
        with pytest.raises(StoreConflictError):
            first.release("m")
        first.release("m", keep=True)
        assert (first.names(), second.fire("m", "go")) == ((), second.machine("m").last)
        with pytest.raises(TransitionRefusedError, match="released"):
            old.fire("go")
        [again] = first.recover([FLIP])
        assert (again.state, again.sequence, again.fire("go")) == ("a", 2, "b")


def test_transitions_are_counted_once_however_often_a_machine_is_let_go_and_taken_up(tmp_path: Path) -> None:
    with StateManager(store=SQLiteStore(tmp_path / "states.db")) as manager:
        manager.add("m", FLIP)
        for _ in range(10):
            manager.fire("m", "go")
        for _ in range(3):
            manager.release("m", keep=True)
            assert manager.statistics().transitions == 10
            manager.recover([FLIP])
            assert manager.statistics().transitions == 10
        manager.release("m")
        assert manager.statistics().transitions == 10


def test_a_machine_that_the_store_has_no_longer_is_not_reloaded(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    with StateManager(store=SQLiteStore(path)) as first, StateManager(store=SQLiteStore(path)) as second:
        machine = first.add("m", FLIP)
        second.recover([FLIP])
        second.release("m")
        with pytest.raises(StoreError, match="keeps no machine 'm'"):
            first.reload("m")
        second.add("m", DOOR)
        with pytest.raises(StoreError, match="table 'door'"):
            first.reload("m")
        assert machine.state == "a"
    with pytest.raises(StateError, match="no store"):
        StateManager().reload("m")


def test_the_timer_of_a_machine_that_another_moved_waits_until_it_is_reloaded(tmp_path: Path) -> None:
    path, clock = tmp_path / "states.db", frozen()
    failed: list[StateError] = []
    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b")],
        transitions=[after(10, "a", "b", event="late"), on("stay", "a", "a", internal=True)],
    )
    with (
        StateManager(store=SQLiteStore(path), clock=clock, timers="manual", on_error=failed.append) as first,
        StateManager(store=SQLiteStore(path), clock=clock, timers="manual") as second,
    ):
        machine = first.add("m", table)
        second.recover([table])
        second.fire("m", "stay")
        clock.advance(11)
        assert (first.run_due(), len(failed), first.next_due()) == (1, 1, None)
        clock.advance(1000)
        assert (first.run_due(), len(failed)) == (0, 1)
        first.reload("m")
        assert (first.run_due(), machine.state, machine.sequence) == (1, "b", 2)


# -- what monitoring is told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [False, True])
def test_time_in_the_first_state_is_counted_from_when_the_machine_was_made(tmp_path: Path, stored: bool) -> None:
    clock, monitoring = frozen(), RecordingMonitoringManager()
    store = SQLiteStore(tmp_path / "s.db") if stored else None
    with StateManager(store=store, clock=clock, monitoring=monitoring) as manager:
        machine = manager.add("m", FLIP)
        made = clock.time()
        assert (machine.describe().since, machine.describe().last, machine.history()) == (made, None, ())
        clock.advance(100)
        machine.fire("go")
        clock.advance(5)
        machine.fire("go")
        assert machine.rollback(to_sequence=0) == "a"
        assert monitoring.seconds_in_source == [100.0, 5.0, 0.0]
        assert [record.sequence for record in machine.history()] == [1, 2, 3]
    if stored:
        with StateManager(store=SQLiteStore(tmp_path / "s.db"), clock=clock, monitoring=monitoring) as manager:
            manager.add("new", FLIP)
            clock.advance(50)
        with StateManager(store=SQLiteStore(tmp_path / "s.db"), clock=clock, monitoring=monitoring) as manager:
            manager.recover([FLIP])
            clock.advance(10)
            manager.fire("new", "go")
            assert monitoring.seconds_in_source[-1] == 60.0


def test_what_a_transition_takes_does_not_include_the_observers_of_others() -> None:
    clock, monitoring = frozen(), RecordingMonitoringManager()
    slow = two_states(inside(lambda t: clock.advance(0.25)), lambda t: clock.advance(30))
    manager = StateManager(clock=clock, monitoring=monitoring)
    for name in ("slow", "quick"):
        manager.add(name, slow if name == "slow" else FLIP)
    manager.fire_all({"slow": "go", "quick": "go"})
    manager.fire("quick", "go")
    assert monitoring.seconds == [0.25, 0.25, 0.0]
    assert [record.machine for record in monitoring.transitions] == ["slow", "quick", "quick"]


def test_all_are_told_of_all_even_if_one_ends_the_thread() -> None:
    monitoring = RecordingMonitoringManager()
    seen: list[str] = []
    table = two_states(leave, lambda t: seen.append(f"observer of {t.machine.name}"))
    manager = StateManager(monitoring=monitoring)
    manager.watch(leave)  # type: ignore[arg-type]  # it takes anything
    manager.watch(lambda record: seen.append(f"watcher of {record.machine}"))
    for name in "st":
        manager.add(name, table)
    with pytest.raises(SystemExit):
        manager.fire_all({"s": "go", "t": "go"})
    assert [record.machine for record in monitoring.transitions] == ["s", "t"]
    assert seen == [f"{who} of {name}" for name in "st" for who in ("watcher", "observer")]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_observers_behind_one_that_ends_the_thread_are_told(asynchronous: bool) -> None:
    seen: list[str] = []
    handed: list[StateError] = []

    def fail(trigger: Trigger) -> None:
        raise ValueError("planted")

    def fire_back(trigger: Trigger) -> None:
        trigger.machine.fire("go", cause="queued")

    table = two_states(fail, fire_back, leave, lambda t: seen.append(t.target))
    manager = StateManager(on_error=handed.append)
    machine = manager.add("m", table)
    with pytest.raises(SystemExit):
        asyncio.run(machine.fire_async("go")) if asynchronous else machine.fire("go")
    assert (seen, machine.state, machine.last.cause) == (["b"], "a", "queued")
    assert [str(cause) for error in handed for cause in getattr(error, "causes", ())] == ["planted"]


def test_what_was_raised_beside_an_interruption_is_noted_on_it_where_nobody_asks() -> None:
    def fail(trigger: Trigger) -> None:
        raise ValueError("planted")

    machine = Machine(two_states(fail, leave))
    with pytest.raises(SystemExit) as raised:
        machine.fire("go")
    assert "planted" in "".join(getattr(raised.value, "__notes__", ()))


# -- being cancelled -------------------------------------------------------------------------------------------------


def test_what_was_queued_is_made_though_its_observers_cannot_be_awaited(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    async def never(trigger: Trigger) -> None:
        trigger.machine.fire("on")
        await asyncio.sleep(3600)

    async def late(trigger: Trigger) -> None:
        told.append("awaited")

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(never, late, lambda t: told.append("plain"))), State("c")],
        transitions=[on("go", "a", "b"), on("on", "b", "c", observers=[late, lambda t: told.append("plain, queued")])],
    )
    machine = Machine(table)

    async def main() -> None:
        task = asyncio.create_task(machine.fire_async("go"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (machine.state, told) == ("c", ["plain", "plain, queued"])
    assert [record.event for record in machine.history()] == ["go", "on"]
    assert "late" in caplog.text


# -- what the store keeps --------------------------------------------------------------------------------------------


def kept_bytes(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        [found] = database.execute("SELECT ifnull(sum(length(cause)), 0) FROM history").fetchone()
        return int(found)


def test_what_the_store_keeps_is_bounded_by_bytes_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    most = 0
    with StateManager(store=SQLiteStore(path, history_bytes=10_000)) as manager:
        machine = manager.add("m", FLIP)
        for length in [50_000] * 5 + [100] * 300 + [3_000] * 20:
            machine.fire("go", cause="x" * length)
            most = max(most, kept_bytes(path) - (length if length > 10_000 else 0))
    assert most <= 10_000 * 9 // 8 + 3_000
    for _ in range(30):  # also where each process makes a few
        with StateManager(store=SQLiteStore(path, history_bytes=10_000)) as manager:
            manager.recover([FLIP])
            manager.fire("m", "go", cause="x" * 1000)
    assert kept_bytes(path) <= 10_000 * 9 // 8 + 1000


def test_a_snapshot_that_is_no_longer_wanted_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with StateManager(store=SQLiteStore(path)) as manager:
        machine = manager.add("m", FLIP)
        for label in "xyz":
            machine.snapshot(label)
        assert machine.drop_snapshot("x") is True
        assert machine.drop_snapshot("x") is False
        assert manager.drop_snapshot("m", "y") is True
        assert [label for label, _, _ in machine.describe().snapshots] == ["z"]
        with pytest.raises(RollbackError, match="'z'"):
            machine.rollback(to_snapshot="x")
    with StateManager(store=SQLiteStore(path)) as manager:
        manager.recover([FLIP])
        assert [label for label, _, _ in manager.describe("m").snapshots] == ["z"]


def test_a_snapshot_that_another_wrote_is_not_dropped_unseen(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with StateManager(store=SQLiteStore(path)) as first, StateManager(store=SQLiteStore(path)) as second:
        first.add("m", FLIP).snapshot("s")
        second.recover([FLIP])
        second.fire("m", "go")
        with pytest.raises(StoreConflictError):
            first.drop_snapshot("m", "s")
        assert second.describe("m").snapshots == first.describe("m").snapshots != ()


def test_snapshots_of_a_machine_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "MOST_SNAPSHOTS", 3)
    machine = Machine(FLIP)
    for label in "xyz":
        machine.snapshot(label)
    with pytest.raises(StateError, match="has 3 snapshots already; drop_snapshot"):
        machine.snapshot("more")
    machine.snapshot("x")  # anew
    machine.drop_snapshot("y")
    machine.snapshot("more")


# -- errors ----------------------------------------------------------------------------------------------------------


class Holding(Exception):
    """One that has what cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class Keyword(Exception):
    """One that goes into pickle, and does not come out."""

    def __init__(self, *, text: str) -> None:
        super().__init__(text)


def test_an_error_whose_causes_cannot_be_pickled_can_be() -> None:
    def fail(error: Exception) -> Callable[[Trigger], None]:
        def observer(trigger: Trigger) -> None:
            raise error

        return observer

    causes = [Holding("a lock"), ValueError("plain"), Keyword(text="a keyword")]
    machine = Machine(two_states(*map(fail, causes)))
    with pytest.raises(ObserverFailedError) as raised:
        machine.fire("go")
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.sequence) == (str(raised.value), 1)
    assert [type(cause).__name__ for cause in again.causes] == ["CoreSysError", "ValueError", "CoreSysError"]
    assert "Holding: a lock" in str(again.causes[0])
    assert "Keyword: a keyword" in str(again.causes[2])
    assert list(raised.value.causes) == causes
    assert pickle.loads(pickle.dumps(again)).causes[0].args == again.causes[0].args


# -- what was given twice, or by mistake -----------------------------------------------------------------------------


def test_two_tables_of_one_name_are_not_taken_up_by_the_last(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    other = TransitionTable("flip", states=[State("a", initial=True)], transitions=[])
    with StateManager(store=SQLiteStore(path)) as manager:
        manager.add("m", FLIP)
    with StateManager(store=SQLiteStore(path)) as manager:
        with pytest.raises(ValueError, match="two tables called 'flip'"):
            manager.recover([FLIP, other])
        assert manager.names() == ()
        assert len(manager.recover([FLIP, FLIP])) == 1


@pytest.mark.parametrize("steps", [0, -1])
def test_going_back_by_no_step_says_so(steps: int) -> None:
    machine = Machine(FLIP)
    machine.fire("go")
    with pytest.raises(RollbackError, match=f"cannot go back to {steps} steps before"):
        machine.rollback(steps)
    fake = RecordingStateManager()
    fake.define("m", StateDefinition("flip", ("a", "b"), "a", (("go", "a", "b"),)))
    fake.fire("m", "go")
    with pytest.raises(RollbackError, match=f"{steps} steps"):
        fake.rollback("m", steps)
    assert (machine.state, fake.state("m")) == ("b", "b")


def test_who_is_told_of_errors_may_be_made_of_the_manager() -> None:
    """And the circle that the two then are keeps neither of them, nor the thread of the timers."""
    errors = ErrorManager()
    arrived: list[ErrorRecord] = []
    errors.sink("operator", arrived.append)
    errors.route("doors", "operator")

    def fail(trigger: Trigger) -> None:
        raise ValueError("planted")

    manager = StateManager()
    assert manager.on_error is None
    watch = ErrorStates(errors=errors, states=manager, declared=[ErrorState("m", component="doors", state="a")])
    manager.on_error = watch.observed
    assert manager.add("m", two_states(fail)).fire("go") == "b"
    assert [record.component for record in arrived] == ["doors"]
    manager.add("late", LATE)
    thread, gone = manager._timers._thread, weakref.ref(manager)
    assert thread is not None
    del manager, watch
    gc.collect()
    assert gone() is None
    thread.join(20)
    assert not thread.is_alive()
