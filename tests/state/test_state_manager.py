"""Machines that are held: by name, watched, counted, together, with timers, and in forked children."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from state_helping import DOOR, FLIP, frozen

from coresys.errors.hierarchy import (
    DuplicateMachineError,
    ObserverFailedError,
    StateError,
    TableError,
    TransitionFailedError,
    TransitionRefusedError,
    UnknownMachineError,
)
from coresys.state import (
    Machine,
    SQLiteStore,
    State,
    StateManager,
    Transition,
    TransitionTable,
    Trigger,
    after,
    inside,
    on,
)
from coresys.system_records import PendingTimer, StateDefinition, StateStatistics, TransitionRecord
from coresys.testing.fakes import FakeClock


class Sink:
    """A recording fake of what a monitoring manager does with transitions."""

    def __init__(self) -> None:
        self.seen: list[tuple[TransitionRecord, float, float]] = []

    def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
        self.seen.append((record, seconds, seconds_in_source))


# -- holding ---------------------------------------------------------------------------------------------------------


def test_machines_are_held_by_name() -> None:
    manager = StateManager()
    front = manager.add("front", DOOR)
    back = manager.add("back", DOOR)
    assert manager.machine("front") is front
    assert manager.machines() == (front, back)
    assert (manager.names(), len(manager), "front" in manager, "side" in manager) == (("front", "back"), 2, True, False)
    assert list(manager) == [front, back]


def test_a_name_is_given_once() -> None:
    manager = StateManager()
    front = manager.add("front", DOOR)
    with pytest.raises(DuplicateMachineError, match="'front' exists already in this state manager"):
        manager.add("front", DOOR)
    assert manager.machine("front") is front


def test_a_name_that_is_not_held_is_told_with_those_that_look_like_it() -> None:
    manager = StateManager()
    manager.add("front", DOOR)
    with pytest.raises(UnknownMachineError, match="no machine 'fromt'; did you mean front"):
        manager.machine("fromt")
    for method in (manager.state, manager.history, manager.describe, manager.rollback, manager.release):
        with pytest.raises(UnknownMachineError):
            method("x")


def test_what_is_done_by_name_is_done_to_the_machine() -> None:
    clock = frozen()
    manager = StateManager(clock=clock)
    manager.define("front", StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"),)))
    record = manager.fire("front", "push", cause="c", actor="a")
    assert record == TransitionRecord("front", "door", 1, 1000.0, "push", "shut", "open", "c", "a")
    assert manager.history("front") == (record,)
    assert manager.snapshot("front", "s") == 1
    assert manager.rollback("front", 1) == "shut"
    assert manager.state("front") == "shut"
    described = manager.describe("front")
    assert (described.sequence, described.since, described.snapshots) == (2, 1000.0, (("s", "open", 1),))
    with pytest.raises(TableError):
        manager.define("side", StateDefinition("bad", ("a",), "b", ()))
    assert manager.names() == ("front",)


def test_machines_of_equal_definitions_share_a_table() -> None:
    manager = StateManager()
    for name in "ab":
        manager.define(name, StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"),)))
    assert manager.machine("a").table is manager.machine("b").table


def test_a_machine_that_was_released_is_gone_and_refuses() -> None:
    manager = StateManager()
    front = manager.add("front", DOOR)
    front.fire("open")
    manager.release("front")
    assert manager.names() == ()
    with pytest.raises(TransitionRefusedError, match="the machine was released"):
        front.fire("shut")
    assert front.state == "open"
    manager.add("front", DOOR)
    assert manager.statistics().transitions == 1  # of those that are gone too
    gone = weakref.ref(front)
    del front
    gc.collect()
    assert gone() is None


def test_eight_threads_make_a_hundred_machines_each_found_once() -> None:
    manager = StateManager()
    refused: list[str] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        for number in range(100):
            try:
                manager.add(f"m{number}", DOOR)
            except DuplicateMachineError as error:
                refused.append(error.machine)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(manager.names()) == sorted(f"m{number}" for number in range(100))
    assert len(refused) == 700


def test_statistics_say_what_is_held_and_what_became_of_events() -> None:
    def fail(trigger: Trigger) -> None:
        raise RuntimeError

    table = TransitionTable(
        "fragile",
        states=[State("a", initial=True), State("b", entry=(inside(fail),))],
        transitions=[on("go", "a", "b")],
    )
    manager = StateManager()
    for name in ("front", "back", "side"):
        manager.add(name, DOOR)
    manager.add("m", table)
    manager.fire("front", "open")
    for name, event, error in (("front", "open", TransitionRefusedError), ("m", "go", TransitionFailedError)):
        with pytest.raises(error):
            manager.fire(name, event)
    assert manager.statistics() == StateStatistics(
        machines=4,
        transitions=1,
        refused=1,
        failed=1,
        in_state=(("door", "open", 1), ("door", "shut", 2), ("fragile", "a", 1)),
    )


# -- being told ------------------------------------------------------------------------------------------------------


def test_monitoring_sees_every_transition_with_its_times() -> None:
    clock = frozen()
    sink = Sink()

    def slow(trigger: Trigger) -> None:
        clock.advance(0.25)

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(inside(slow),))],
        transitions=[on("go", "a", "b"), on("back", "b", "a")],
    )
    manager = StateManager(monitoring=sink, clock=clock)
    manager.add("m", table)
    manager.fire("m", "go")
    clock.advance(5)
    manager.fire("m", "back")
    manager.rollback("m")
    (went, took, _), (came, _, stayed), (undone, _, _) = sink.seen
    assert (went.event, took) == ("go", 0.25)
    assert (came.event, stayed) == ("back", 5.25)
    assert (undone.event, undone.sequence) == ("rollback", 3)


def test_monitoring_that_raises_undoes_nothing_and_is_told() -> None:
    class Broken(Sink):
        def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
            raise RuntimeError("no room")

    manager = StateManager(monitoring=Broken())
    manager.add("m", DOOR)
    with pytest.raises(ObserverFailedError, match="no room"):
        manager.fire("m", "open")
    assert manager.state("m") == "open"


def test_eight_threads_on_one_machine_lose_and_double_nothing() -> None:
    sink = Sink()
    manager = StateManager(monitoring=sink, history_count=10**6, history_bytes=10**9)
    machine = manager.add("m", FLIP)

    def work() -> None:
        for _ in range(500):
            machine.fire("go")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = machine.history()
    assert [record.sequence for record in history] == list(range(1, 4001))
    assert all(later.source == earlier.target for earlier, later in zip(history, history[1:], strict=False))
    assert sorted(record.sequence for record, _, _ in sink.seen) == list(range(1, 4001))
    assert manager.statistics().transitions == 4000


# -- several at once -------------------------------------------------------------------------------------------------


def test_several_machines_move_together() -> None:
    manager = StateManager()
    for name in ("front", "back"):
        manager.add(name, DOOR)
    records = manager.fire_all({"back": "open", "front": "burn"}, cause="fire")
    assert [(record.machine, record.target, record.cause) for record in records] == [
        ("back", "open", "fire"),
        ("front", "gone", "fire"),
    ]
    assert (manager.state("front"), manager.state("back")) == ("gone", "open")


def test_nothing_moves_when_one_of_several_is_refused() -> None:
    manager = StateManager()
    for name in ("front", "back"):
        manager.add(name, DOOR)
    with pytest.raises(TransitionRefusedError, match="front"):
        manager.fire_all({"back": "open", "front": "shut"})
    assert (manager.state("front"), manager.state("back")) == ("shut", "shut")
    assert manager.history("back") == ()


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_nothing_moves_when_an_observer_inside_one_of_several_raises(fails: int) -> None:
    def fail(trigger: Trigger) -> None:
        trigger.machine.fire("back")  # from inside: only if this is made
        if trigger.payload == "fail":
            raise RuntimeError("planted")

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(inside(fail),)), State("broken", error=True)],
        transitions=[on("go", "a", "b"), on("back", "b", "a"), on("mend", "broken", "a")],
    )
    manager = StateManager()
    names = ("m0", "m1", "m2")
    for name in names:
        manager.add(name, table)
    with pytest.raises(TransitionFailedError, match="planted"):
        manager.fire_all(dict.fromkeys(names, "go"), {names[fails]: "fail"})
    # The one that failed is in its error state; of the others nothing happened.
    assert [manager.state(name) for name in names] == ["broken" if n == fails else "a" for n in range(3)]
    assert [manager.machine(name).sequence for name in names] == [int(n == fails) for n in range(3)]
    manager.fire(names[fails], "mend")
    manager.fire_all(dict.fromkeys(names, "go"))
    assert [manager.state(name) for name in names] == ["a", "a", "a"]  # each went, and came back
    assert [manager.machine(name).sequence - 2 * (n == fails) for n, name in enumerate(names)] == [2, 2, 2]


def test_one_machine_is_moved_once_at_a_time_and_only_with_its_own() -> None:
    from coresys.state.together import fire_all

    machine = StateManager().add("m", DOOR)
    with pytest.raises(ValueError, match="one event of each machine"):
        fire_all([(machine, "open", None), (machine, "shut", None)])
    with pytest.raises(ValueError, match="machines of one StateManager"):
        fire_all([(machine, "open", None), (Machine(DOOR), "open", None)])
    assert fire_all([]) == ()
    manager = StateManager()
    events = [(manager.add(f"m{number}", DOOR), "open", None) for number in range(257)]
    with pytest.raises(ValueError, match="at most 256 machines at once, not 257"):
        fire_all(events)
    assert len(fire_all(events[1:])) == 256


def test_moving_several_from_inside_one_of_them_is_refused() -> None:
    manager = StateManager()

    def move(trigger: Trigger) -> None:
        manager.fire_all({"m": "back", "other": "open"})

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(inside(move),))],
        transitions=[on("go", "a", "b"), on("back", "b", "a")],
    )
    manager.add("m", table)
    manager.add("other", DOOR)
    with pytest.raises(TransitionFailedError, match="from inside a transition of its own"):
        manager.fire("m", "go")
    assert (manager.state("m"), manager.state("other")) == ("a", "shut")
    manager.fire("other", "open")  # its lock was not left held


def test_threads_that_move_the_same_machines_in_opposite_orders_do_not_wait_for_one_another() -> None:
    manager = StateManager()
    names = [f"m{number}" for number in range(4)]
    for name in names:
        manager.add(name, FLIP)
    start = threading.Barrier(4)

    def move(order: list[str]) -> None:
        start.wait()
        for _ in range(200):
            manager.fire_all(dict.fromkeys(order, "go"))

    orders = [names, names[::-1], names[2:] + names[:2], [names[1], names[3], names[0], names[2]]]
    threads = [threading.Thread(target=move, args=(order,), daemon=True) for order in orders]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # or they hardly ever meet
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in threads)
    assert [manager.machine(name).sequence for name in names] == [800] * 4
    assert len({manager.state(name) for name in names}) == 1


# -- timers ----------------------------------------------------------------------------------------------------------

LAMP = TransitionTable(
    "lamp",
    states=[State("off", initial=True), State("on"), State("blinking")],
    transitions=[
        on("press", "off", "on"),
        on("press", "on", "off"),
        after(30, "on", "blinking"),
        after(5, "blinking", "off", event="give up"),
    ],
)


def lamp(clock: FakeClock) -> tuple[StateManager, Machine]:
    manager = StateManager(clock=clock, timers="manual")
    return manager, manager.add("lamp", LAMP)


def test_a_timer_fires_when_its_state_was_not_left() -> None:
    clock = frozen()
    manager, machine = lamp(clock)
    assert manager.next_due() is None
    machine.fire("press")
    assert manager.next_due() == 1030.0
    assert machine.describe().timers == (PendingTimer("on", "after 30 s in on", 1030.0),)
    clock.move_to(1029.9)
    assert (manager.run_due(), machine.state) == (0, "on")
    clock.move_to(1030.0)
    assert (manager.run_due(), machine.state) == (1, "blinking")
    assert (machine.last.event, machine.last.cause) == ("after 30 s in on", "timer of 'on'")
    clock.move_to(1035.0)
    assert (manager.run_due(), machine.state, manager.next_due()) == (1, "off", None)


def test_a_timer_does_not_fire_when_its_state_was_left_even_if_it_was_entered_again() -> None:
    clock = frozen()
    manager, machine = lamp(clock)
    machine.fire("press")
    clock.move_to(1010.0)
    machine.fire("press")
    assert manager.next_due() is None
    machine.fire("press")
    clock.move_to(1030.0)
    assert (manager.run_due(), machine.state) == (0, "on")
    clock.move_to(1040.0)
    assert (manager.run_due(), machine.state) == (1, "blinking")


def test_going_back_arms_timers_anew() -> None:
    clock = frozen()
    manager, machine = lamp(clock)
    machine.fire("press")
    machine.fire("press")
    clock.move_to(1010.0)
    machine.rollback()
    assert (machine.state, manager.next_due()) == ("on", 1040.0)


def test_timers_of_a_parent_go_on_while_its_parts_change() -> None:
    clock = frozen()
    table = TransitionTable(
        "t",
        states=[
            State("busy", initial=True),
            State("one", parent="busy", initial=True),
            State("two", parent="busy"),
            State("late"),
        ],
        transitions=[on("next", "one", "two"), on("next", "two", "one"), after(10, "busy", "late")],
    )
    manager = StateManager(clock=clock, timers="manual")
    machine = manager.add("m", table)
    for now in (1003.0, 1006.0, 1009.0):
        clock.move_to(now)
        machine.fire("next")
    clock.move_to(1010.0)
    assert (manager.run_due(), machine.state) == (1, "late")


def test_a_timer_whose_guard_says_no_is_spent_and_told() -> None:
    seen: list[StateError] = []
    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b")],
        transitions=[after(1, "a", "b", guards=[lambda trigger: False])],
    )
    clock = frozen()
    manager = StateManager(clock=clock, timers="manual", on_error=seen.append)
    machine = manager.add("m", table)
    clock.advance(1)
    assert (manager.run_due(), machine.state, manager.next_due()) == (1, "a", None)
    assert [type(error) for error in seen] == [TransitionRefusedError]


def test_timers_that_were_left_do_not_pile_up() -> None:
    clock = frozen()
    manager, machine = lamp(clock)
    for _ in range(5000):
        machine.fire("press")
    assert len(manager._timers._heap) < 200
    assert manager.next_due() is None


def test_a_machine_with_timers_needs_a_manager() -> None:
    with pytest.raises(ValueError, match="has timers: machines of it are made by StateManager"):
        Machine(LAMP)


def test_a_thread_fires_what_is_due_and_ends_with_the_manager() -> None:
    fired = threading.Event()
    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(lambda trigger: fired.set(),))],
        transitions=[after(0.01, "a", "b")],
    )
    before = set(threading.enumerate())
    with StateManager() as manager:
        assert set(threading.enumerate()) == before  # none without a timer
        machine = manager.add("m", table)
        assert fired.wait(30)
        assert machine.state == "b"
    assert set(threading.enumerate()) == before


def test_the_thread_is_woken_by_a_timer_that_is_due_sooner() -> None:
    fired = threading.Event()
    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("long"), State("short"), State("end", entry=(lambda t: fired.set(),))],
        transitions=[
            on("long", "a", "long"),
            on("short", "a", "short"),
            after(3600, "long", "end"),
            after(0.01, "short", "end"),
        ],
    )
    with StateManager() as manager:
        manager.add("slow", table).fire("long")
        manager.add("quick", table).fire("short")
        assert fired.wait(30)


def test_a_manager_may_be_closed_by_its_own_timer() -> None:
    closed = threading.Event()

    def close(trigger: Trigger) -> None:
        manager.close()
        closed.set()

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(close,))],
        transitions=[after(0.01, "a", "b")],
    )
    manager = StateManager()
    manager.add("m", table)
    assert closed.wait(30)
    manager.close()


def test_what_a_timer_raises_is_told_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    def fail(trigger: Trigger) -> None:
        raise RuntimeError("planted")

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(fail,))],
        transitions=[after(1, "a", "b")],
    )
    clock = frozen()
    manager = StateManager(clock=clock, timers="manual")
    machines = [manager.add(f"m{number}", table) for number in range(2)]
    clock.advance(1)
    assert manager.run_due() == 2
    assert [machine.state for machine in machines] == ["b", "b"]
    assert [record.message for record in caplog.records] == [
        f"m{number}: timer of 'a', event 'after 1 s in a'" for number in range(2)
    ]


def test_an_error_handler_that_raises_does_not_stop_the_timers(caplog: pytest.LogCaptureFixture) -> None:
    def fail(trigger: Trigger) -> None:
        raise RuntimeError("planted")

    def refuse(error: StateError) -> None:
        raise ValueError("no handler")

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(inside(fail),))],
        transitions=[after(1, "a", "b")],
    )
    clock = frozen()
    manager = StateManager(clock=clock, timers="manual", on_error=refuse)
    for number in range(2):
        manager.add(f"m{number}", table)
    clock.advance(1)
    assert manager.run_due() == 2
    assert len(caplog.records) == 2


def test_a_timer_that_came_up_without_leaving_its_state_is_gone_from_the_store_too(tmp_path: Path) -> None:
    table = TransitionTable(
        "t",
        states=[State("a", initial=True)],
        transitions=[Transition("tick", "a", "a", internal=True, delay=1.0)],
    )
    clock = frozen()
    store = SQLiteStore(tmp_path / "states.db")
    with StateManager(clock=clock, timers="manual", store=store) as manager:
        manager.add("m", table)
        assert len(store.machines()[0].timers) == 1
        clock.advance(1)
        assert manager.run_due() == 1
        assert store.machines()[0].timers == ()


# -- the end ---------------------------------------------------------------------------------------------------------


def test_a_closed_manager_takes_no_machines() -> None:
    manager = StateManager()
    manager.close()
    manager.close()
    with pytest.raises(StateError, match="the state manager is closed"):
        manager.add("m", DOOR)
    assert repr(manager) == "<StateManager: 0 machines, memory, closed>"


def in_a_child(work: Callable[[], Any]) -> int:
    """The exit status of a forked child that runs ``work``; 99 where it raised, 98 where it hung."""
    child = os.fork()
    if child == 0:
        watchdog = threading.Timer(20, lambda: os._exit(98))
        watchdog.daemon = True
        watchdog.start()
        try:
            os._exit(work())
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("held", [True, False, "closed"])
@pytest.mark.parametrize("before", [0, 2])
def test_a_forked_child_finds_no_lock_held_by_a_thread_that_it_does_not_have(held: object, before: int) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(trigger: Trigger) -> None:
        entered.set()
        leave.wait()

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(inside(wait),)), State("c")],
        transitions=[on("go", "a", "b"), on("jump", "a", "c"), on("stay", "a", "a")],
    )
    manager = StateManager()
    machine = manager.add("m", table) if held else Machine(table)
    for _ in range(before):
        machine.fire("stay")
    if held == "closed":
        manager.close()
        del manager
    thread = threading.Thread(target=machine.fire, args=("go",))
    thread.start()
    entered.wait()
    try:
        assert in_a_child(lambda: 7 if machine.fire("jump") == "c" else 1) == 7
    finally:
        leave.set()
        thread.join()
    assert machine.state == "b"


class Watcher:
    """One that keeps what ends its watching."""

    def __init__(self) -> None:
        self.stop: Callable[[], None] | None = None

    def __call__(self, record: TransitionRecord) -> None:
        """What it is told does not matter."""


def test_a_manager_that_was_closed_needs_no_collector_to_go() -> None:
    manager = StateManager(store=SQLiteStore(":memory:", durability="memory"))
    manager.add("m", FLIP).fire("go")
    watcher = Watcher()
    watcher.stop = manager.watch(watcher)
    gone, machine, watching = weakref.ref(manager), weakref.ref(manager.machine("m")), weakref.ref(watcher)
    gc.collect()
    gc.disable()
    try:
        manager.close()
        watcher.stop()
        del manager, watcher
        assert (gone(), machine(), watching()) == (None, None, None)
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_manager_is_dropped_in_a_forked_child_though_the_parents_thread_held_its_timers() -> None:
    manager = StateManager()
    manager.add(
        "m",
        TransitionTable(
            "t", states=[State("a", initial=True), State("b")], transitions=[after(3600, "a", "b", event="late")]
        ),
    )
    holds, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with manager._timers._condition:
            holds.set()
            leave.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait()

    def drop() -> int:
        nonlocal manager
        gone = weakref.ref(manager)
        del manager
        gc.collect()
        return 7 if gone() is None else 1

    try:
        assert in_a_child(drop) == 7
    finally:
        leave.set()
        holder.join()
        manager.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_timers_go_on_in_a_forked_child_when_it_says_so() -> None:
    """As the page says: the parent's thread fires them, and the child has copies of the machines."""
    clock = frozen()
    table = TransitionTable(
        "t", states=[State("a", initial=True), State("b")], transitions=[after(10, "a", "b", event="late")]
    )
    manager = StateManager(clock=clock, timers="manual")
    machine = manager.add("m", table)
    clock.advance(10)
    assert in_a_child(lambda: 7 if (machine.state, manager.run_due(), machine.state) == ("a", 1, "b") else 1) == 7
    assert machine.state == "a"


def test_machines_of_a_definition_are_taken_up_by_it(tmp_path: Path) -> None:
    order = StateDefinition("order", ("new", "paid"), "new", (("pay", "new", "paid"),))
    with StateManager(store=SQLiteStore(tmp_path / "states.db")) as first:
        first.define("o 1", order)
        first.fire("o 1", "pay")
    with StateManager(store=SQLiteStore(tmp_path / "states.db")) as second:
        (machine,) = second.recover([order])
        assert (machine.name, machine.state) == ("o 1", "paid")
