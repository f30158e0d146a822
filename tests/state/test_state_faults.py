"""Faults that were found by a review, each as it was shown, and what has to be instead."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import re
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from state_helping import FLIP, frozen

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
from coresys.state.history import ENTRY_BYTES
from coresys.state.scope import Scope
from coresys.system_records import TransitionRecord


def two_states(*observers: Any, **more: Any) -> TransitionTable:
    return TransitionTable(
        "two",
        states=[State("a", initial=True), State("b", entry=observers)],
        transitions=[on("go", "a", "b", **more), on("go", "b", "a")],
    )


# -- two who use one file --------------------------------------------------------------------------------------------


def test_who_remembers_a_machine_that_was_released_writes_to_no_other(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    with StateManager(store=SQLiteStore(path)) as first, StateManager(store=SQLiteStore(path)) as second:
        first.add("m", FLIP).fire("go")
        second.recover([FLIP])
        second.release("m")
        other = second.add("other", FLIP)
        other.fire("go")
        with pytest.raises(TransitionFailedError, match="StoreConflictError"):
            first.fire("m", "go")
        with pytest.raises(StoreConflictError):
            first.snapshot("m", "s")
        first.release("m")  # what is not there is forgotten already
        assert other.fire("go") == "a"
        assert second.describe("other").snapshots == ()


def test_who_is_behind_neither_releases_nor_marks_what_another_moved(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    with StateManager(store=SQLiteStore(path)) as first, StateManager(store=SQLiteStore(path)) as second:
        first.add("m", FLIP)
        second.recover([FLIP])
        first.fire("m", "go")
        for attempt in (lambda: second.release("m"), lambda: second.snapshot("m", "s")):
            with pytest.raises(StoreConflictError):
                attempt()
        assert "m" in second
        assert first.fire("m", "go") is not None


# -- releasing -------------------------------------------------------------------------------------------------------


def test_of_two_who_release_one_name_the_second_does_not_release_the_next_of_that_name(tmp_path: Path) -> None:
    class Slow(StateManager):
        pause: Callable[[], object] | None = None

        def machine(self, name: str) -> Machine:
            found = super().machine(name)
            pause, self.pause = self.pause, None
            if pause is not None:
                pause()
            return found

    manager = Slow(store=SQLiteStore(tmp_path / "states.db"))
    with manager:
        manager.add("m", FLIP)

        def meanwhile() -> None:
            manager.release("m")
            manager.add("m", FLIP).fire("go")

        manager.pause = meanwhile
        manager.release("m")
        assert manager.names() == ("m",)
        assert manager.machine("m").fire("go") == "a"


def test_a_released_machine_is_read_and_nothing_else(tmp_path: Path) -> None:
    with StateManager(store=SQLiteStore(tmp_path / "states.db"), history_count=2) as manager:
        old = manager.add("m", FLIP)
        for _ in range(4):
            old.fire("go")
        manager.release("m")
        new = manager.add("m", FLIP)
        new.fire("go", cause="new")
        assert [record.sequence for record in old.history(10)] == [3, 4]
        assert (old.state, old.last.table) == ("a", "flip")
        with pytest.raises(RollbackError, match="the machine was released"):
            old.rollback(1)
        with pytest.raises(StateError, match="the machine was released"):
            old.snapshot("s")
        with pytest.raises(TransitionRefusedError, match="the machine was released"):
            old.fire("go")
        manager.release("m")
        assert manager.names() == ()


def test_a_machine_that_is_released_by_whoever_is_told_is_told_of_by_its_own_table() -> None:
    manager = StateManager()
    seen: list[TransitionRecord] = []
    manager.watch(lambda record: manager.release(record.machine))
    manager.watch(seen.append)
    manager.add("m", FLIP)
    record = manager.fire("m", "go")
    assert record is not None
    assert (record.table, [each.table for each in seen]) == ("flip", ["flip"])


# -- adding and taking up --------------------------------------------------------------------------------------------


def test_a_machine_is_not_seen_before_its_timers_are_armed() -> None:
    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b"), State("c")],
        transitions=[on("go", "a", "b"), after(5, "a", "c"), after(50, "b", "c")],
    )

    class Eager(StateManager):
        def _hold(self, machines: list[Machine]) -> None:
            super()._hold(machines)
            self.machine("m").fire("go")  # as another thread would, as soon as it can

    clock = frozen()
    manager = Eager(clock=clock, timers="manual")
    machine = manager.add("m", table)
    assert [timer.event for timer in machine.describe().timers] == ["after 50 s in b"]
    clock.advance(5)
    assert (manager.run_due(), machine.state) == (0, "b")
    clock.advance(45)
    assert (manager.run_due(), machine.state) == (1, "c")


def test_taking_up_leaves_alone_what_another_thread_is_adding(tmp_path: Path) -> None:
    class Slow(SQLiteStore):
        pause: Callable[[], object] | None = None

        def create(self, machine: Any) -> None:
            super().create(machine)
            if self.pause is not None:
                self.pause()

    store = Slow(tmp_path / "states.db")
    with StateManager(store=store) as manager:
        manager.add("old", FLIP)
        taken: list[tuple[Machine, ...]] = []
        store.pause = lambda: taken.append(manager.recover([FLIP]))
        new = manager.add("new", FLIP)
        assert taken == [()]
        assert manager.machine("new") is new
        assert new.fire("go") == "b"


def test_a_machine_that_is_held_has_a_name() -> None:
    with pytest.raises(ValueError, match="has a name"):
        StateManager().add("", FLIP)


# -- timers ----------------------------------------------------------------------------------------------------------


def test_the_timer_of_a_parent_does_not_make_the_transition_of_a_part() -> None:
    states = [State("p", initial=True), State("c", parent="p", initial=True), State("d", parent="p")]
    ends = [State("x"), State("y")]
    clock = frozen()
    manager = StateManager(clock=clock, timers="manual")
    table = TransitionTable(
        "t", states=[*states, *ends], transitions=[on("next", "c", "d"), after(5, "p", "x"), after(5, "d", "y")]
    )
    machine = manager.add("m", table)
    clock.advance(4)
    machine.fire("next")
    clock.advance(1)
    assert (manager.run_due(), machine.state) == (1, "x")
    with pytest.raises(TableError, match="event 'late' is a timer of both 'p' and 'd', a part of it; name them apart"):
        TransitionTable(
            "t",
            states=[*states, *ends],
            transitions=[on("next", "c", "d"), after(5, "p", "x", event="late"), after(5, "d", "y", event="late")],
        )


def test_an_observer_that_ends_the_thread_ends_no_timer_of_others() -> None:
    fired = threading.Event()

    def leave(trigger: Trigger) -> None:
        raise SystemExit

    first = TransitionTable(
        "first", states=[State("a", initial=True), State("b", entry=(leave,))], transitions=[after(0.01, "a", "b")]
    )
    second = TransitionTable(
        "second",
        states=[State("a", initial=True), State("b", entry=(lambda trigger: fired.set(),))],
        transitions=[after(0.05, "a", "b")],
    )
    with StateManager() as manager:
        manager.add("m1", first)
        manager.add("m2", second)
        assert fired.wait(30)


def test_a_thread_that_cannot_be_started_fails_no_transition_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    fired = threading.Event()
    table = TransitionTable(
        "t",
        states=[State("off", initial=True), State("on"), State("end", entry=(lambda trigger: fired.set(),))],
        transitions=[on("press", "off", "on"), on("press", "on", "off"), after(0.01, "on", "end")],
    )
    with StateManager() as manager:
        machine = manager.add("m", table)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert machine.fire("press") == "on"
        monkeypatch.undo()
        assert "no thread can be started" in caplog.text
        manager.add("other", table).fire("press")
        assert fired.wait(30)


def test_a_timer_that_meets_a_busy_store_comes_again(tmp_path: Path) -> None:
    class Busy(SQLiteStore):
        busy = False

        def append(self, records: Any, timers: Any = None) -> None:
            if self.busy:
                raise StoreError(store="here", problem="database is locked")
            super().append(records, timers)

    seen: list[StateError] = []
    clock = frozen()
    store = Busy(tmp_path / "states.db")
    table = TransitionTable("t", states=[State("a", initial=True), State("b")], transitions=[after(5, "a", "b")])
    with StateManager(store=store, clock=clock, timers="manual", on_error=seen.append) as manager:
        machine = manager.add("m", table)
        clock.advance(5)
        store.busy = True
        assert (manager.run_due(), machine.state) == (1, "a")
        store.busy = False
        clock.advance(1)
        assert (manager.run_due(), machine.state) == (1, "b")
        assert [type(error) for error in seen] == [TransitionFailedError]


def test_a_timer_that_is_armed_while_another_is_looked_at_is_not_lost() -> None:
    clock = frozen()
    manager = StateManager(clock=clock, timers="manual")
    table = TransitionTable(
        "t",
        states=[State("off", initial=True), State("on"), State("end")],
        transitions=[on("press", "off", "on"), on("press", "on", "off"), after(5, "on", "end")],
    )

    class Handling(Machine):
        handler: Callable[[], object] | None = None

        def _is_armed(self, timer: Any) -> bool:
            handler, Handling.handler = Handling.handler, None
            if handler is not None:
                handler()
            return super()._is_armed(timer)

    left = Handling(table, "left", scope=manager._scope)
    left.fire("press")
    left.fire("press")
    other = manager.add("other", table)
    clock.advance(-3)
    Handling.handler = lambda: other.fire("press")
    assert manager.next_due() == 1002.0
    clock.move_to(1002.0)
    assert (manager.run_due(), other.state) == (1, "end")


def test_what_awaits_cannot_be_where_nobody_awaits() -> None:
    async def mail(trigger: Trigger) -> None:
        pass

    with pytest.raises(TableError, match=r"observer .*mail of the error state is asynchronous"):
        TransitionTable(
            "t",
            states=[State("a", initial=True), State("bad", error=True, entry=(mail,))],
            transitions=[on("go", "a", "a")],
        )
    with pytest.raises(TableError, match="has asynchronous observers, and a timer, which awaits none"):
        TransitionTable(
            "t", states=[State("a", initial=True), State("b", entry=(mail,))], transitions=[after(5, "a", "b")]
        )


# -- events that wait ------------------------------------------------------------------------------------------------


def test_what_the_error_state_fired_before_it_failed_is_not_made() -> None:
    def fail(trigger: Trigger) -> None:
        trigger.machine.fire("side")
        raise RuntimeError("planted")

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b"), State("bad", error=True, entry=(inside(fail),)), State("c")],
        transitions=[on("go", "a", "b", observers=[inside(fail)]), on("side", "a", "c")],
    )
    machine = Machine(table)
    with pytest.raises(TransitionFailedError):
        machine.fire("go")
    assert (machine.state, machine.sequence) == ("a", 0)
    assert machine.fire("side") == "c"


def test_what_is_fired_on_another_machine_of_a_transaction_falls_with_it() -> None:
    manager = StateManager()

    def fire_other(trigger: Trigger) -> None:
        manager.machine("two").fire("side")

    def refuse(trigger: Trigger) -> bool:
        raise RuntimeError("planted")

    one = two_states(inside(fire_other))
    two = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b"), State("c")],
        transitions=[on("go", "a", "b", guards=[refuse]), on("side", "a", "c")],
    )
    manager.add("one", one)
    manager.add("two", two)
    with pytest.raises(TransitionFailedError, match="planted"):
        manager.fire_all({"one": "go", "two": "go"})
    assert [manager.machine(name).sequence for name in ("one", "two")] == [0, 0]


def test_what_a_guard_fires_is_made_also_when_it_was_only_asked() -> None:
    def ask(trigger: Trigger) -> bool:
        trigger.machine.fire("side")
        return False

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b"), State("c")],
        transitions=[on("go", "a", "b", guards=[ask]), on("side", "a", "c")],
    )
    machine = Machine(table)
    assert machine.can("go") is False
    assert machine.state == "c"


def test_what_was_fired_before_observers_were_cut_short_is_made_all_the_same() -> None:
    def fire(trigger: Trigger) -> None:
        trigger.machine.fire("next")

    def interrupt(trigger: Trigger) -> None:
        raise KeyboardInterrupt

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b", entry=(inside(fire), interrupt)), State("c")],
        transitions=[on("go", "a", "b"), on("next", "b", "c")],
    )
    machine = Machine(table)
    with pytest.raises(KeyboardInterrupt):
        machine.fire("go")
    assert machine.state == "c"


# -- frames, contexts ------------------------------------------------------------------------------------------------


def test_a_chain_of_callbacks_each_made_by_an_observer_of_the_last_keeps_nothing() -> None:
    from coresys.state.making import Telling, telling

    def depth() -> int:
        frame: Telling | None = telling.get()
        found = 0
        while frame is not None:
            found, frame = found + 1, frame.outer
        return found

    async def main() -> tuple[int, bool]:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        deepest = 0

        def beat(trigger: Trigger) -> None:
            nonlocal deepest
            deepest = max(deepest, depth())
            if trigger.sequence < 300:
                loop.call_soon(trigger.machine.fire, "go")
            else:
                done.set_result(None)

        table = TransitionTable(
            "t",
            states=[State("a", initial=True, entry=(beat,)), State("b", entry=(beat,))],
            transitions=[on("go", "a", "b"), on("go", "b", "a")],
        )
        machine = Machine(table)
        machine.fire("go")
        await done
        return deepest, machine.sequence == 300

    assert asyncio.run(main()) == (1, True)


def test_a_task_that_an_observer_made_does_not_keep_the_machine() -> None:
    async def main() -> bool:
        tasks = []

        def start(trigger: Trigger) -> None:
            tasks.append(asyncio.ensure_future(asyncio.Event().wait()))

        machine = Machine(two_states(start))
        machine.fire("go")
        gone = weakref.ref(machine)
        del machine
        gc.collect()
        alive = gone() is not None
        tasks[0].cancel()
        return alive

    assert asyncio.run(main()) is False


def test_a_coroutine_that_is_closed_from_another_context_is_closed_quietly() -> None:
    class Never:
        def __await__(self) -> Any:
            yield

    async def wait(trigger: Trigger) -> None:
        await Never()

    machine = Machine(two_states(wait))
    coroutine = machine.fire_async("go")
    contextvars.copy_context().run(coroutine.send, None)
    coroutine.close()
    assert (machine.state, machine.fire("go")) == ("b", "a")


def test_an_error_keeps_nothing_alive_without_a_collection() -> None:
    class Payload:
        pass

    def fail(trigger: Trigger) -> None:
        raise RuntimeError("planted")

    tables = [
        two_states(inside(fail)),
        two_states(fail),
        TransitionTable(
            "t",
            states=[State("a", initial=True), State("b"), State("bad", error=True)],
            transitions=[on("go", "a", "b", observers=[inside(fail)])],
        ),
    ]
    gc.collect()
    gc.disable()
    try:
        for table in tables:
            payload = Payload()
            gone = weakref.ref(payload)
            with pytest.raises(StateError):
                Machine(table).fire("go", payload)
            del payload
            assert gone() is None
    finally:
        gc.enable()


# -- who is told -----------------------------------------------------------------------------------------------------


def test_an_error_handler_that_raises_hides_no_error_and_keeps_nobody_from_being_told() -> None:
    told: list[str] = []

    def fail(trigger: Trigger) -> None:
        told.append(trigger.machine.name)
        raise RuntimeError("planted")

    def refuse(error: StateError) -> None:
        raise ValueError("no handler")

    manager = StateManager(on_error=refuse)
    for name in ("one", "two"):
        manager.add(name, two_states(fail))
    with pytest.raises(ObserverFailedError, match="planted") as caught:
        manager.fire_all({"one": "go", "two": "go"})
    assert told == ["one", "two"]
    assert "on_error raised ValueError: no handler" in caught.value.__notes__  # type: ignore[attr-defined]


def test_a_watcher_that_watches_twice_ends_once() -> None:
    seen: list[TransitionRecord] = []
    manager = StateManager()
    manager.add("m", FLIP)
    stop = manager.watch(seen.append)
    manager.watch(seen.append)
    stop()
    manager.fire("m", "go")
    assert len(seen) == 1


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", [{"cause": 3}, {"actor": b"ann"}])
def test_a_cause_that_is_no_text_is_refused_before_anything_happened(texts: dict[str, Any]) -> None:
    manager = StateManager()
    machine = manager.add("m", FLIP)
    for attempt in (
        lambda: machine.fire("go", **texts),
        lambda: manager.fire("m", "go", **texts),
        lambda: manager.fire_all({"m": "go"}, **texts),
        lambda: machine.rollback(1, **texts),
    ):
        with pytest.raises(TypeError, match=re.escape("is a str, or None")):
            attempt()
    assert machine.sequence == 0


def test_a_state_that_the_table_no_longer_has_is_not_gone_back_to(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    old = TransitionTable(
        "t",
        states=[State("a", initial=True), State("old"), State("b")],
        transitions=[on("x", "a", "old"), on("y", "old", "b")],
    )
    new = TransitionTable("t", states=[State("a", initial=True), State("b")], transitions=[on("z", "a", "b")])
    with StateManager(store=SQLiteStore(path)) as manager:
        machine = manager.add("m", old)
        machine.fire("x")
        machine.snapshot("there")
        machine.fire("y")
    with StateManager(store=SQLiteStore(path)) as manager:
        (machine,) = manager.recover([new])
        hows: list[dict[str, Any]] = [{"steps": 1}, {"to_snapshot": "there"}]
        for how in hows:
            with pytest.raises(RollbackError, match="table 't' no longer has state 'old'"):
                machine.rollback(**how)
        assert (machine.state, machine.sequence) == ("b", 2)


def test_machines_can_be_read_after_the_manager_was_closed(tmp_path: Path) -> None:
    manager = StateManager(store=SQLiteStore(tmp_path / "states.db"), history_count=2)
    machine = manager.add("m", FLIP)
    for _ in range(5):
        machine.fire("go")
    manager.close()
    assert [record.sequence for record in machine.history(4)] == [4, 5]


def test_entries_without_texts_do_not_carry_those_with_over_the_bound() -> None:
    limit = 100 * ENTRY_BYTES
    machine = Machine(FLIP, scope=Scope(history_count=1000, history_bytes=limit))
    for _ in range(10):
        machine.fire("go", cause="x" * 1000)
    for _ in range(90):
        machine.fire("go")
        taken = sum(ENTRY_BYTES + len(record.cause or "") for record in machine.history())
        assert taken <= limit


def test_bytes_are_counted_behind_a_zero_too(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "states.db", history_bytes=100_000) as store, StateManager(store=store) as manager:
        machine = manager.add("m", FLIP)
        for _ in range(512):
            machine.fire("go", cause="\0" + "ä" * 1000)
        assert len(store.history("m", last=1000)) < 60


def test_a_store_in_memory_is_refused_where_nobody_says_that_it_keeps_nothing() -> None:
    with pytest.raises(ValueError, match="durability 'process' is not that of ':memory:'"):
        SQLiteStore(":memory:")
