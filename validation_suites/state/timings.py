"""What is timed of a state manager: operations that are called again and again, and return their own seconds.

Times are read by ``perf_counter`` as this module has it, so that a test can put a clock in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from coresys.state import State, TransitionTable, on
from validation_suites.state.measures import DOOR, FLIP, takes_tables

if TYPE_CHECKING:
    from coresys.interfaces import IStateManager

_BATCH = 4  # transitions that are timed together where two kinds are compared
Timed = Callable[[], float]


def _seconds(call: Callable[[], object], times: int) -> float:
    began = perf_counter()
    for _ in range(times):
        call()
    return perf_counter() - began


_LEADS = {("shut", "push"): "open", ("open", "pull"): "shut"}


def look_up_in_a_dictionary() -> str:
    """What a transition comes to, at the least: to find where an event leads."""
    return _LEADS["shut", "push"]


def transition(manager: IStateManager, name: str = "door") -> Timed:
    """One transition of a machine."""
    manager.define(name, DOOR)
    events, at = {"shut": "push", "open": "pull"}, ["shut"]

    def fire() -> float:
        event = events[at[0]]
        began = perf_counter()
        manager.fire(name, event)
        took = perf_counter() - began
        at[0] = _LEADS[at[0], event]
        return took

    return fire


def _yes(trigger: object) -> bool:
    return True


def checked_table() -> TransitionTable:
    """A table whose transitions are asked of three guards and a validator."""
    checks: dict[str, Any] = {"guards": [_yes, lambda _: True, lambda _: 1], "validators": [_yes]}
    return TransitionTable(
        "checked",
        states=[State("a", initial=True), State("b")],
        transitions=[on("go", "a", "b", **checks), on("go", "b", "a", **checks)],
    )


def validation(manager: Any) -> tuple[Timed, str]:
    """What checking adds to a transition: one with three guards and a validator, less one with none.

    A manager that takes no guards checks events by their table only: all of its transition is an upper bound of that.
    """
    if not takes_tables(manager):
        return transition(manager), "an upper bound: all of a transition, for it takes no guards"
    manager.define("free", FLIP)
    manager.add("checked", checked_table())

    def difference() -> float:
        free = _seconds(lambda: manager.fire("free", "go"), _BATCH)
        checked = _seconds(lambda: manager.fire("checked", "go"), _BATCH)
        return max(checked - free, 0.0) / _BATCH

    return difference, "three guards and a validator"


def validation_impact(manager: Any, rounds: int = 50) -> float:
    """How many times as long a transition takes that is checked: of the quickest rounds of each, which others at work
    disturb the least."""
    manager.define("free", FLIP)
    manager.add("checked", checked_table())
    free, checked = [], []
    for _ in range(rounds):
        free.append(_seconds(lambda: manager.fire("free", "go"), 4))
        checked.append(_seconds(lambda: manager.fire("checked", "go"), 4))
    return min(checked) / min(free)


def history(recording: IStateManager, bare: IStateManager) -> Timed:
    """What keeping a history adds: a transition of a manager that keeps many, less one of a manager that keeps one."""
    for manager in (recording, bare):
        manager.define("recorded", FLIP)

    def difference() -> float:
        least = _seconds(lambda: bare.fire("recorded", "go"), _BATCH)
        return max(_seconds(lambda: recording.fire("recorded", "go"), _BATCH) - least, 0.0) / _BATCH

    return difference


def bytes_an_entry(manager: IStateManager, entries: int = 2_000) -> float:
    """How much memory an entry of a history takes."""
    import tracemalloc

    manager.define("growing", FLIP)
    for _ in range(100):
        manager.fire("growing", "go")
    if tracemalloc.is_tracing():
        return float("nan")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(entries):
            manager.fire("growing", "go")
        return (tracemalloc.get_traced_memory()[0] - before) / entries
    finally:
        tracemalloc.stop()


def restoring(manager: IStateManager, name: str) -> Timed:
    """From a state that a transition led to back to the good one before: by a snapshot, and by a step, in turns."""
    manager.snapshot(name, "good")
    by_step = [False]

    def restore() -> float:
        good = manager.state(name)
        manager.fire(name, "go")
        by_step[0] = not by_step[0]
        began = perf_counter()
        if by_step[0]:
            manager.rollback(name, 1)
        else:
            manager.rollback(name, to_snapshot="good")
        took = perf_counter() - began
        if manager.state(name) != good:
            raise AssertionError(f"{name} was restored to {manager.state(name)!r} and not to {good!r}")
        return took

    return restore
