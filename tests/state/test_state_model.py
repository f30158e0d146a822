"""Against a model: random tables under random events, and a random life of a manager with its store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from coresys.errors.hierarchy import RollbackError, TableError, TransitionRefusedError
from coresys.state import Machine, SQLiteStore, State, StateManager, TransitionTable, on
from coresys.state.scope import Scope

STATES = [f"s{number}" for number in range(5)]
EVENTS = [f"e{number}" for number in range(4)]
RULES = st.dictionaries(
    st.tuples(st.sampled_from(STATES), st.sampled_from(EVENTS)), st.sampled_from(STATES), min_size=1
)
SOME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def reachable(rules: dict[tuple[str, str], str]) -> set[str]:
    found = {STATES[0]}
    while True:
        more = found | {target for (source, _), target in rules.items() if source in found}
        if more == found:
            return found
        found = more


@SOME
@given(rules=RULES, events=st.lists(st.sampled_from(EVENTS), max_size=60))
def test_a_storm_of_events_is_taken_and_refused_as_the_table_says(
    rules: dict[tuple[str, str], str], events: list[str]
) -> None:
    there = reachable(rules)
    kept = {key: target for key, target in rules.items() if key[0] in there}
    table = TransitionTable(
        "t",
        states=[State(name, initial=name == STATES[0]) for name in STATES if name in there],
        transitions=[on(event, source, target) for (source, event), target in kept.items()],
    )
    machine = Machine(table, scope=Scope(history_count=1000, history_bytes=10**6))
    at, made = STATES[0], 0
    for event in events:
        target = rules.get((at, event))
        if target is None:
            with pytest.raises(TransitionRefusedError):
                machine.fire(event)
        else:
            assert machine.fire(event) == target
            at, made = target, made + 1
        assert (machine.state, machine.sequence) == (at, made)
    assert len(machine.history()) == made


@SOME
@given(rules=RULES)
def test_a_table_is_refused_exactly_when_a_state_cannot_be_reached(rules: dict[tuple[str, str], str]) -> None:
    states = [State(name, initial=name == STATES[0]) for name in STATES]
    transitions = [on(event, source, target) for (source, event), target in rules.items()]
    if reachable(rules) == set(STATES):
        TransitionTable("t", states=states, transitions=transitions)
    else:
        with pytest.raises(TableError, match="no way leads from 's0' to"):
            TransitionTable("t", states=states, transitions=transitions)


WALK = TransitionTable(
    "walk",
    states=[State("a", initial=True), State("b"), State("c")],
    transitions=[
        on("next", "a", "b"),
        on("next", "b", "c"),
        on("next", "c", "a", guards=[lambda trigger: trigger.payload is not False]),
        on("stay", ["a", "b", "c"], "a"),
    ],
)
NEXT = {"a": "b", "b": "c", "c": "a"}


class Life(RuleBasedStateMachine):
    """A manager over a store that is closed and taken up again now and then; the model is a list of states."""

    machines = Bundle("machines")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.walked: dict[str, list[str]] = {}  # the state after each number, from 0
        self.labels: dict[str, dict[str, str]] = {}
        self.manager = self.open()

    def open(self) -> StateManager:
        store = SQLiteStore(Path(self.folder.name) / "states.db")
        return StateManager(store=store, history_count=3, timers="manual")

    def teardown(self) -> None:
        self.manager.close()
        self.folder.cleanup()

    @initialize(target=machines)
    def begin(self) -> str:
        return self.new()

    @rule(target=machines)
    def add(self) -> str:
        return self.new()

    def new(self) -> str:
        name = f"m{len(self.walked)}"
        self.manager.add(name, WALK)
        self.walked[name], self.labels[name] = ["a"], {}
        return name

    @rule(name=machines, event=st.sampled_from(["next", "stay", "jump"]), payload=st.sampled_from([None, False]))
    def fire(self, name: str, event: str, payload: Any) -> None:
        walked = self.walked[name]
        refused = event == "jump" or (event == "next" and walked[-1] == "c" and payload is False)
        if refused:
            with pytest.raises(TransitionRefusedError):
                self.manager.fire(name, event, payload)
        else:
            target = NEXT[walked[-1]] if event == "next" else "a"
            record = self.manager.fire(name, event, payload)
            assert record is not None
            assert (record.sequence, record.source, record.target) == (len(walked), walked[-1], target)
            walked.append(target)

    @rule(one=machines, other=machines, payload=st.sampled_from([None, False]))
    def fire_both(self, one: str, other: str, payload: Any) -> None:
        names = {one, other}
        refused = payload is False and any(self.walked[name][-1] == "c" for name in names)
        if refused:
            with pytest.raises(TransitionRefusedError):
                self.manager.fire_all(dict.fromkeys(names, "next"), dict.fromkeys(names, payload))
        else:
            self.manager.fire_all(dict.fromkeys(names, "next"), dict.fromkeys(names, payload))
            for name in names:
                self.walked[name].append(NEXT[self.walked[name][-1]])

    @rule(name=machines, steps=st.integers(0, 8))
    def go_back(self, name: str, steps: int) -> None:
        walked = self.walked[name]
        if 1 <= steps < len(walked):
            target = walked[-1 - steps]
            assert self.manager.rollback(name, steps) == target
            walked.append(target)
        else:
            with pytest.raises(RollbackError):
                self.manager.rollback(name, steps)

    @rule(name=machines, label=st.sampled_from(["x", "y"]))
    def mark(self, name: str, label: str) -> None:
        self.manager.snapshot(name, label)
        self.labels[name][label] = self.walked[name][-1]

    @rule(name=machines, label=st.sampled_from(["x", "y"]))
    def go_to_mark(self, name: str, label: str) -> None:
        target = self.labels[name].get(label)
        if target is None:
            with pytest.raises(RollbackError):
                self.manager.rollback(name, to_snapshot=label)
        else:
            assert self.manager.rollback(name, to_snapshot=label) == target
            self.walked[name].append(target)

    @rule()
    def restart(self) -> None:
        self.manager.close()
        self.manager = self.open()
        assert len(self.manager.recover([WALK])) == len(self.walked)

    @invariant()
    def everything_is_where_the_model_has_it(self) -> None:
        assert set(self.manager.names()) == set(self.walked)
        for name, walked in self.walked.items():
            machine = self.manager.machine(name)
            assert (machine.state, machine.sequence) == (walked[-1], len(walked) - 1)
            history = machine.history(5)
            assert [record.target for record in history] == walked[1:][-5:]
            assert [record.source for record in history] == walked[:-1][-5:]


Life.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestLife = pytest.mark.slow(Life.TestCase)
