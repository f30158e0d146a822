"""Error states: entered, left and reported as declared; on the real state manager, and beside a model."""

from __future__ import annotations

from typing import Any

import pytest

from coresys.errors.hierarchy import (
    ObserverFailedError,
    RollbackError,
    RouteError,
    TransitionFailedError,
    TransitionRefusedError,
    UnknownMachineError,
)
from coresys.errors.manager import ErrorManager
from coresys.errors.policies import RestoreState
from coresys.errors.states import ErrorState, ErrorStates
from coresys.state import State, StateManager, TransitionTable, Trigger, on
from coresys.system_records import ErrorRecord, StateDefinition
from coresys.testing.fakes import FakeClock, RecordingStateManager


class World:
    """A service machine whose transitions fail when they are told to, watched over."""

    def __init__(self, *, leave: str | None = "repair", snapshot: str | None = None) -> None:
        self.clock = FakeClock()
        self.failing: set[str] = set()
        self.arrived: list[ErrorRecord] = []
        self.errors = ErrorManager(clock=self.clock)
        self.errors.sink("operator", self.arrived.append)
        self.errors.route("service", "operator")
        table = TransitionTable(
            "service",
            states=[State("idle", initial=True), State("busy"), State("broken", error=True)],
            transitions=[
                on("work", "idle", "busy", guards=[self._guard]),
                on("rest", "busy", "idle", guards=[self._guard]),
                on("break", "idle", "broken"),
                on("break", "busy", "broken"),
                on("repair", "broken", "idle"),
            ],
        )
        self.states = StateManager(clock=self.clock, timers="manual", on_error=self._observed)
        self.machine = self.states.add("m", table)
        self.watch = ErrorStates(errors=self.errors, states=self.states)
        self.watch.declare(
            ErrorState("m", component="service", state="broken", enter="break", leave=leave, snapshot=snapshot)
        )

    def _guard(self, trigger: Trigger) -> bool:
        if trigger.event in self.failing:
            raise ZeroDivisionError(trigger.event)
        return True

    def _observed(self, error: Any) -> None:
        self.watch.observed(error)


@pytest.fixture
def world() -> World:
    return World()


def test_a_transition_that_fails_is_reported_along_the_path_of_its_component(world: World) -> None:
    world.failing.add("work")
    with pytest.raises(TransitionFailedError):
        world.watch.fire("m", "work")
    (record,) = world.arrived
    assert (record.kind, record.route) == ("coresys.errors.hierarchy.TransitionFailedError", ("service", "operator"))
    assert [cause.kind for cause in record.causes] == ["ZeroDivisionError"]
    assert world.machine.state == "broken"
    assert world.watch.is_in_error("m")


def test_a_refusal_is_no_error(world: World) -> None:
    with pytest.raises(TransitionRefusedError):
        world.watch.fire("m", "rest")
    assert (world.arrived, world.machine.state) == ([], "idle")


def test_it_is_left_by_the_event_that_is_declared(world: World) -> None:
    world.failing.add("work")
    with pytest.raises(TransitionFailedError):
        world.watch.fire("m", "work")
    assert world.watch.leave("m")
    assert world.machine.state == "idle"
    assert world.states.history("m")[-1].cause == "recovery"
    assert not world.watch.leave("m")


def test_it_is_left_by_rolling_back_where_no_event_is_declared() -> None:
    world = World(leave=None)
    world.watch.fire("m", "work")
    world.failing.add("rest")
    with pytest.raises(TransitionFailedError):
        world.watch.fire("m", "rest")
    assert world.machine.state == "broken"
    assert world.watch.leave("m")
    assert world.machine.state == "busy"


def test_it_is_left_to_a_snapshot() -> None:
    world = World(leave=None, snapshot="good")
    world.states.snapshot("m", "good")
    world.watch.fire("m", "work")
    world.failing.add("rest")
    with pytest.raises(TransitionFailedError):
        world.watch.fire("m", "rest")
    assert world.watch.leave("m")
    assert world.machine.state == "idle"


def test_it_is_entered_for_errors_that_no_transition_met_with(world: World) -> None:
    world.watch.fire("m", "work")
    assert world.watch.enter("m", OSError("disk"))
    assert (world.machine.state, world.states.history("m")[-1].cause) == ("broken", "OSError: disk")
    assert not world.watch.enter("m", OSError("disk again"))
    assert [record.message for record in world.arrived] == ["disk", "disk again"]


def test_what_observers_raise_is_reported_by_on_error() -> None:
    arrived: list[ErrorRecord] = []
    errors = ErrorManager()
    errors.sink("operator", arrived.append)
    errors.route("service", "operator")
    fake = RecordingStateManager()
    watch = ErrorStates(errors=errors, states=fake, declared=[ErrorState("m", component="service", state="broken")])

    def observer(trigger: Trigger) -> None:
        raise KeyError("observer")

    table = TransitionTable(
        "t", states=[State("a", initial=True), State("b")], transitions=[on("go", "a", "b", observers=[observer])]
    )
    states = StateManager(timers="manual", on_error=watch.observed)
    states.add("m", table)
    states.fire("m", "go")
    (record,) = arrived
    assert record.kind.endswith("ObserverFailedError")
    assert [cause.kind for cause in record.causes] == ["KeyError"]


def test_an_observer_that_fails_is_reported_once_where_fire_raises() -> None:
    errors = ErrorManager(default="operator")
    errors.sink("operator", lambda record: None)
    fake = RecordingStateManager()
    fake.define("m", StateDefinition("t", ("a", "b"), "a", (("go", "a", "b"),)))
    cause = KeyError("x")
    fake.fail["m", "go"] = ObserverFailedError(
        machine="m", event="go", source="a", target="b", sequence=1, causes=(cause,)
    )
    watch = ErrorStates(errors=errors, states=fake, declared=[ErrorState("m", component="service", state="b")])
    with pytest.raises(ObserverFailedError), errors.guard("caller"):
        watch.fire("m", "go")
    assert dict(errors.statistics().by_component) == {"service": 1}


def test_machines_that_are_not_declared_are_passed_through(world: World) -> None:
    table = TransitionTable("t", states=[State("a", initial=True), State("b")], transitions=[on("go", "a", "b")])
    world.states.add("other", table)
    world.watch.fire("other", "go")
    with pytest.raises(UnknownMachineError):
        world.watch.leave("other")
    with pytest.raises(RouteError, match="one of 'service'"):
        world.watch.declare(ErrorState("m", component="else", state="broken"))


def test_leaving_is_a_procedure(world: World) -> None:
    calls = []

    def work() -> str:
        calls.append(world.machine.state)
        world.watch.fire("m", "work")
        return world.machine.state

    world.failing.add("work")
    world.errors.policies("service", {TransitionFailedError: [Mending(world), world.watch.leaving("m")]})
    assert world.errors.recovering("service").call(work) == "busy"
    assert calls == ["idle", "idle"]
    assert [record.severity for record in world.arrived] == ["error"]


class Mending:
    """Whatever made it fail is gone by the time that it is asked."""

    name, acts = "mending", True

    def __init__(self, world: World) -> None:
        self.world = world

    def recover(self, failure: object) -> None:
        self.world.failing.clear()


def test_restoring_state_is_a_procedure_on_the_real_manager(world: World) -> None:
    world.states.snapshot("m", "good")
    world.watch.fire("m", "work")
    world.failing.add("rest")
    world.errors.policies("service", {TransitionFailedError: [RestoreState(world.states, "m", to_snapshot="good")]})

    def work() -> str:
        if world.machine.state == "busy":
            world.watch.fire("m", "rest")
        return world.machine.state

    assert world.errors.recovering("service").call(work) == "idle"


def test_nothing_to_roll_back_to_is_raised() -> None:
    world = World(leave=None, snapshot="never taken")
    world.failing.add("work")
    with pytest.raises(TransitionFailedError):
        world.watch.fire("m", "work")
    with pytest.raises(RollbackError):
        world.watch.leave("m")


@pytest.mark.parametrize("seed", range(20))
def test_a_machine_is_where_a_model_says_whatever_fails(seed: int) -> None:
    import random

    rng = random.Random(seed)
    world = World()
    at, reported = "idle", 0
    ways = {
        ("idle", "work"): "busy",
        ("busy", "rest"): "idle",
        ("idle", "break"): "broken",
        ("busy", "break"): "broken",
    }
    for _ in range(60):
        act = rng.choice(["work", "rest", "break", "leave", "enter"])
        world.failing = {act} if rng.random() < 0.4 else set()
        if act == "leave":
            assert world.watch.leave("m") is (at == "broken")
            at = "idle" if at == "broken" else at
        elif act == "enter":
            assert world.watch.enter("m", OSError()) is (at != "broken")
            at, reported = "broken", reported + 1
        elif (at, act) not in ways:
            with pytest.raises(TransitionRefusedError):
                world.watch.fire("m", act)
        elif act in world.failing and act != "break":
            with pytest.raises(TransitionFailedError):
                world.watch.fire("m", act)
            at, reported = "broken", reported + 1
        else:
            world.watch.fire("m", act)
            at = ways[at, act]
        assert (world.machine.state, len(world.arrived)) == (at, reported)
        assert world.watch.is_in_error("m") is (at == "broken")
