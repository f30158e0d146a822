"""A signal's exception or handler at every place it can come at: whatever it hits, machines stay whole and usable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from interrupting import NOT_TRACED, Hitting, untraced
from state_helping import FLIP

from coresys.errors.hierarchy import StateError, StoreError
from coresys.state import Machine, SQLiteStore, State, StateManager, TransitionTable, inside, on
from coresys.state import machine as machine_module
from coresys.state import making as making_module
from coresys.state import sqlite as sqlite_module
from coresys.state import together as together_module

ASKED = TransitionTable(
    "asked",
    states=[State("a", initial=True), State("b")],
    transitions=[
        on("go", "a", "b", guards=[lambda t: True], observers=[inside(lambda t: None), lambda t: None]),
        on("go", "b", "a"),
    ],
)
FILES = {sqlite_module.__file__, machine_module.__file__, making_module.__file__, together_module.__file__}


def interrupted(work: Callable[[], object], at: int) -> bool:
    """Run ``work``, interrupted at place ``at``; False when it has fewer."""
    return Hitting(FILES, at).watching(work)


def is_whole(machine: Machine) -> bool:
    history = machine.history()
    chained = all(
        (later.sequence, later.source) == (earlier.sequence + 1, earlier.target)
        for earlier, later in zip(history, history[1:], strict=False)
    )
    ends = not history or (history[-1].sequence, history[-1].target) == (machine.sequence, machine.state)
    return chained and ends and len(history) == machine.sequence


def usable_by_all(machine: Machine) -> bool:
    """Whether another thread, and then this one, can fire: no lock was left held, nobody is taken for its holder."""
    before = machine.sequence
    thread = threading.Thread(target=machine.fire, args=("go",), daemon=True)
    thread.start()
    thread.join(20)
    machine.fire("go")
    return not thread.is_alive() and machine.sequence == before + 2


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize(
    ("table", "work"),
    [
        pytest.param(FLIP, lambda m: m.fire("go"), id="plain"),
        pytest.param(FLIP, lambda m: m.fire("go", cause="c"), id="with a cause"),
        pytest.param(ASKED, lambda m: m.fire("go"), id="asked and told"),
        pytest.param(FLIP, lambda m: m.rollback(to_sequence=0), id="going back"),
    ],
)
@pytest.mark.parametrize("before", [1, 2])
def test_an_interruption_at_any_instruction_leaves_the_machine_whole(
    table: TransitionTable, work: Callable[[Machine], object], before: int
) -> None:
    at = 0
    while True:
        at += 1
        machine = Machine(table)
        for _ in range(before):
            machine.fire("go")
        if not interrupted(partial(work, machine), at):
            break
        assert machine.sequence in (before, before + 1), at
        assert is_whole(machine), at
        assert usable_by_all(machine), at
        assert is_whole(machine), at
    assert at >= 7


@pytest.mark.slow
@NOT_TRACED
def test_an_interruption_at_any_instruction_moves_all_machines_or_none() -> None:
    at = 0
    while True:
        at += 1
        manager = StateManager()
        machines = [manager.add(name, FLIP) for name in "xyz"]
        if not interrupted(partial(manager.fire_all, dict.fromkeys("xyz", "go")), at):
            break
        assert len({machine.sequence for machine in machines}) == 1, at
        for machine in machines:
            assert is_whole(machine), at
            assert usable_by_all(machine), at
    assert at > 50


def handled(work: Callable[[], object], at: int, handler: Callable[[], object]) -> bool:
    """Run ``work`` on a thread of its own, with ``handler`` called at place ``at``; False when it has fewer."""
    hitting = Hitting(FILES, at, untraced(handler))

    def run() -> None:
        try:
            hitting.watching(work)
        except StoreError:
            pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), f"it waits for itself, or the handler does, at place {at}"
    return hitting.seen >= at


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda m: m.fire("go"), id="fire"),
        pytest.param(lambda m: m.history(), id="history"),
        pytest.param(lambda m: m.describe(), id="describe"),
        pytest.param(lambda m: m.rollback(1), id="rollback"),
    ],
)
def test_a_handler_that_fires_the_machine_at_any_place_is_not_waited_for(work: Callable[[Machine], object]) -> None:
    at = 0
    while True:
        at += 1
        machine = Machine(FLIP)
        machine.fire("go")
        before = machine.sequence
        if not handled(partial(work, machine), at, partial(machine.fire, "go")):
            break
        assert machine.sequence > before, at  # the handler's is made, at once or afterwards
        assert is_whole(machine), at
        assert usable_by_all(machine), at
    assert at > 3


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("closes", [False, True])
def test_a_handler_that_uses_the_store_at_any_place_of_a_commit_is_not_waited_for(tmp_path: Path, closes: bool) -> None:
    at = 0
    while True:
        at += 1
        with StateManager(store=SQLiteStore(tmp_path / f"{at}.db")) as manager:
            machine, other = manager.add("m", FLIP), manager.add("other", FLIP)

            def handler(manager: StateManager = manager, other: Machine = other) -> None:
                try:
                    manager.close() if closes else other.fire("go")
                except StateError:
                    pass  # from inside a commit it is refused: that it does not wait is what is asked

            if not handled(partial(swallow, machine), at, handler):
                break
            if not closes:
                assert usable_by_all(machine), at
                assert usable_by_all(other), at
    assert at > 20


def swallow(machine: Machine) -> None:
    try:
        machine.fire("go")
    except StateError:
        pass


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("together", [False, True])
def test_an_interruption_at_any_place_leaves_machines_and_store_agreeing(tmp_path: Path, together: bool) -> None:
    at = 0
    while True:
        at += 1
        store = SQLiteStore(tmp_path / f"{at}.db")
        with StateManager(store=store) as manager:
            machines = [manager.add(name, FLIP) for name in "xyz"]
            if together:
                work: Callable[[], object] = partial(manager.fire_all, dict.fromkeys("xyz", "go"))
            else:
                work = partial(machines[0].fire, "go")
            if not interrupted(work, at):
                break
            assert [machine.sequence for machine in machines] == [each.sequence for each in store.machines()], at
            assert len({machine.sequence for machine in (machines if together else machines[:1])}) == 1, at
            assert usable_by_all(machines[0]), at
            if together and at % 5 == 0:
                assert usable_by_all(machines[2]), at
    assert at > 20


@pytest.mark.slow
@NOT_TRACED
def test_an_interruption_of_whoever_commits_leaves_nobody_waiting(tmp_path: Path) -> None:
    """One follower waits while the leader is interrupted, at each place of its commit and of handing over."""
    at = 0
    while True:
        at += 1
        waits = threading.Event()

        class Waiting(SQLiteStore):
            first = True

            def _commit_all(self, batch: list[Any]) -> None:
                if Waiting.first and waits.is_set():  # noqa: B023
                    Waiting.first = False
                    follower.start()  # noqa: B023
                    while not self._waiting:
                        pass
                super()._commit_all(batch)

        with StateManager(store=Waiting(tmp_path / f"{at}.db")) as manager:
            machine, other = manager.add("m", FLIP), manager.add("other", FLIP)
            follower = threading.Thread(target=other.fire, args=("go",), daemon=True)
            waits.set()
            done = not interrupted(partial(machine.fire, "go"), at)
            if follower.ident is not None:
                follower.join(20)
                assert not follower.is_alive(), at
                assert other.sequence == 1, at
            assert usable_by_all(machine), at
            assert usable_by_all(other), at
        if done:
            break
    assert at > 20
