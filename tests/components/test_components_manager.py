"""Starting, stopping and restarting, one call after the other: orders, failures, hooks, who is told."""

from __future__ import annotations

import builtins
import gc
import logging
import pickle
import sys
from typing import Any

import pytest
from components_helping import ORDER, SHOP, World, starts, stops

from coresys.components import ComponentChange, ComponentManager
from coresys.components.telling import LIFE, STATES, WAYS
from coresys.errors.hierarchy import (
    ChangeRefusedError,
    ComponentCycleError,
    ComponentSpecError,
    DuplicateComponentError,
    DuplicateMachineError,
    StartFailedError,
    StopFailedError,
    StoreError,
    UnknownComponentError,
)
from coresys.errors.manager import ErrorManager
from coresys.state import SQLiteStore, StateManager, TransitionTable
from coresys.system_records import ComponentRecord, ComponentSpec
from coresys.testing.fakes import RecordingStateManager


@pytest.fixture
def world() -> World:
    return World()


# -- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "started"),
    [
        (None, ORDER),
        ("db", ("db",)),
        ("orders", ("db", "orders")),
        ("shop", ("mail", "db", "orders", "shop")),
    ],
)
def test_what_is_needed_starts_first(world: World, name: str | None, started: tuple[str, ...]) -> None:
    world.components.start(name)
    assert world.called() == starts(*started)
    assert set(world.running()) == set(started)
    world.components.start(name)
    assert world.called() == []


@pytest.mark.parametrize(
    ("name", "stopped"),
    [
        (None, ("audit", "shop", "orders", "db", "mail")),
        ("db", ("audit", "shop", "orders", "db")),
        ("mail", ("shop", "mail")),
        ("shop", ("shop",)),
    ],
)
def test_what_needs_it_stops_first(world: World, name: str | None, stopped: tuple[str, ...]) -> None:
    world.components.start()
    world.called()
    world.components.stop(name)
    assert world.called() == stops(*stopped)
    assert set(world.running()) == set(SHOP) - set(stopped)
    world.components.stop(name)
    assert world.called() == []


def test_components_may_be_declared_in_any_order_but_start_only_with_what_they_need() -> None:
    world = World({"orders": ("db",)})
    with pytest.raises(UnknownComponentError, match="'db' is registered, which 'orders' needs"):
        world.components.start()
    assert world.called() == []
    world.add(ComponentSpec("db"))
    world.components.start()
    assert world.called() == starts("db", "orders")


def test_a_circle_and_a_second_of_one_name_are_refused_and_change_nothing() -> None:
    world = World({"a": ("b",)})
    with pytest.raises(ComponentCycleError, match="'b' needs 'a' needs 'b'"):
        world.add(ComponentSpec("b", needs=("a",)))
    with pytest.raises(DuplicateComponentError):
        world.add(ComponentSpec("a"))
    assert world.states() == {"a": "stopped"}
    world.add(ComponentSpec("b"))
    world.components.start()
    assert world.running() == ["b", "a"]


@pytest.mark.parametrize("which", ["start", "stop", "healthy"])
def test_what_nobody_would_await_is_refused(world: World, which: str) -> None:
    async def later() -> bool:
        raise AssertionError("awaited")

    given: dict[str, Any] = {"start": list, "stop": list, "healthy": bool, which: later}
    with pytest.raises(ComponentSpecError, match=f"'new': its {which} is a coroutine function"):
        world.components.register(ComponentSpec("new"), **given)
    assert "new" not in world.states()


@pytest.mark.parametrize("ask", ["start", "stop", "restart", "status", "check"])
def test_names_that_are_not_registered_are_refused(world: World, ask: str) -> None:
    with pytest.raises(UnknownComponentError, match="'maill' is registered; did you mean mail"):
        getattr(world.components, ask)("maill")


def test_status_is_a_record_of_one_moment(world: World) -> None:
    seen: list[str] = []
    world.during["start db"] = lambda: seen.append(world.components.status("db").state)
    world.during["stop db"] = lambda: seen.append(world.components.status("db").state)
    assert world.components.status("db") == ComponentRecord("db", "stopped", (), 0)
    world.components.start("db")
    assert world.components.status("db") == ComponentRecord("db", "running", (), 0)
    world.components.stop("db")
    assert seen == ["starting", "stopping"]
    assert repr(world.components) == "<ComponentManager: 5 components, 0 running>"


# -- failures ---------------------------------------------------------------------------------------------------------


def test_a_start_that_fails_takes_back_what_was_started_for_it(world: World) -> None:
    world.components.start("mail")
    world.called()
    problem = OSError("no port")
    with world.raising("start shop", problem), pytest.raises(StartFailedError, match="OSError: no port") as caught:
        world.components.start()
    assert world.called() == [*starts("db", "orders", "shop"), *stops("orders", "db")]
    assert world.states() == {**dict.fromkeys(SHOP, "stopped"), "mail": "running", "shop": "failed"}
    assert world.components.status("shop").problem == "OSError: no port"
    error = caught.value
    assert (error.component, error.causes, error.__cause__) == ("shop", (problem,), problem)
    assert error.problems == (("shop", "OSError: no port"),)
    world.components.start()  # it may be tried again
    assert world.running() == list(ORDER)
    assert world.components.status("shop").problem is None


def test_all_that_goes_wrong_while_taking_back_is_told(world: World) -> None:
    first, second, third = OSError("no port"), ValueError("stuck"), KeyError("gone")
    world.fail.update({"start shop": first, "stop orders": second, "stop mail": third})
    with pytest.raises(
        StartFailedError, match=r"OSError: no port; orders: ValueError: stuck; mail: KeyError"
    ) as caught:
        world.components.start("shop")
    assert world.called() == [*starts("mail", "db", "orders", "shop"), *stops("orders", "db", "mail")]
    assert caught.value.causes == (first, second, third)
    assert world.states() == {
        "mail": "failed",
        "db": "stopped",
        "orders": "failed",
        "shop": "failed",
        "audit": "stopped",
    }
    if sys.version_info >= (3, 11):
        assert isinstance(caught.value.__cause__, builtins.BaseExceptionGroup)
        assert caught.value.__cause__.exceptions == (first, second, third)
    else:
        assert caught.value.__cause__ is first
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


def test_stopping_goes_on_whatever_fails(world: World) -> None:
    world.components.start()
    world.called()
    first, second = OSError("busy"), ValueError("stuck")
    world.fail.update({"stop shop": first, "stop mail": second})
    with pytest.raises(StopFailedError, match="'shop' did not stop as it should") as caught:
        world.components.stop()
    assert world.called() == stops("audit", "shop", "orders", "db", "mail")
    assert caught.value.causes == (first, second)
    assert world.states() == {**dict.fromkeys(SHOP, "stopped"), "shop": "failed", "mail": "failed"}
    world.components.stop()  # that is not tried again: what failed is taken for stopped
    assert world.called() == []
    assert world.states() == dict.fromkeys(ORDER, "stopped")


def test_errors_that_were_raised_are_let_go_with_the_error_itself(world: World) -> None:
    gone: list[str] = []

    class Marked(Exception):
        def __del__(self) -> None:
            gone.append(str(self))

    def fail(text: str) -> None:
        raise Marked(text)

    world.during.update({"start shop": lambda: fail("a"), "stop db": lambda: fail("b")})
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            try:
                world.components.start()
            except StartFailedError:
                pass
            assert sorted(gone) == ["a", "b"]
            gone.clear()
    finally:
        gc.enable()


# -- restarting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "strategy", "stopped", "started"),
    [
        ("audit", "one-for-one", ("audit",), ("audit",)),
        ("orders", "one-for-one", ("shop", "orders"), ("orders", "shop")),
        ("orders", "rest-for-one", ("audit", "shop", "orders"), ("orders", "shop", "audit")),
        ("db", "one-for-one", ("audit", "shop", "orders", "db"), ("db", "orders", "shop", "audit")),
    ],
)
def test_a_restart_by_strategy(name: str, strategy: str, stopped: tuple[str, ...], started: tuple[str, ...]) -> None:
    world = World({})
    for each, needs in SHOP.items():
        world.add(ComponentSpec(each, needs=needs, strategy=strategy))
    world.components.start()
    world.called()
    assert world.components.restart(name)
    assert world.called() == [*stops(*stopped), *starts(*started)]
    assert [record.restarted for record in world.components.components()] == [int(each == name) for each in ORDER]


def test_a_restart_leaves_alone_what_did_not_run(world: World) -> None:
    world.components.start("orders")
    world.called()
    assert world.components.restart("db")
    assert world.called() == [*stops("orders", "db"), *starts("db", "orders")]
    world.components.stop("orders")
    world.clock.advance(5)
    world.called()
    assert world.components.restart("db")
    assert world.called() == [*stops("db"), *starts("db")]


def test_a_restart_of_what_does_not_run_starts_it_and_what_it_needs(world: World) -> None:
    assert world.components.restart("orders")
    assert world.called() == starts("db", "orders")


@pytest.mark.parametrize(
    ("restarts", "within", "pauses", "allowed"),
    [
        (0, 5.0, [0], [False]),
        (1, 5.0, [0, 4.999], [True, False]),
        (1, 5.0, [0, 5.0], [True, True]),
        (2, 5.0, [0, 0, 0], [True, True, False]),
        (2, 5.0, [0, 3, 2, 0], [True, True, True, False]),
    ],
)
def test_restart_intensity(restarts: int, within: float, pauses: list[float], allowed: list[bool]) -> None:
    world = World({})
    world.add(ComponentSpec("a", restarts=restarts, within=within))
    world.components.start()
    seen = []
    for pause in pauses:
        world.clock.advance(pause)
        seen.append(world.components.restart("a"))
    assert seen == allowed
    assert world.states()["a"] == ("running" if allowed[-1] else "failed")


def test_what_was_restarted_too_often_fails_and_those_that_need_it_stop(world: World) -> None:
    world.components.start()
    assert world.components.restart("orders")
    world.called()
    assert not world.components.restart("orders", cause="timeouts")
    assert world.called() == stops("shop", "orders")
    assert world.states() == {**dict.fromkeys(SHOP, "running"), "shop": "stopped", "orders": "failed"}
    problem = world.components.status("orders").problem
    assert problem == "not restarted again: 1 times within 5 s is all it may be (timeouts)"
    world.clock.advance(5)
    world.called()
    assert world.components.restart("db")  # which does not bring it back, nor those that need it
    assert world.called() == [*stops("audit", "db"), *starts("db", "audit")]
    assert world.components.restart("orders")  # this does
    assert world.called() == starts("orders", "shop")


def test_what_was_refused_to_be_restarted_may_fail_to_stop(world: World) -> None:
    world.components.start()
    world.components.restart("orders")
    with world.raising("stop shop", OSError("busy")), pytest.raises(StopFailedError, match="busy"):
        world.components.restart("orders")
    assert world.states() == {**dict.fromkeys(SHOP, "running"), "shop": "failed", "orders": "failed"}


def test_a_restart_whose_start_fails_leaves_those_that_need_it_to_the_next(world: World) -> None:
    world.components.start()
    world.called()
    with world.raising("start orders", OSError("no port")), pytest.raises(StartFailedError, match="no port"):
        world.components.restart("orders")
    assert world.called() == [*stops("shop", "orders"), *starts("orders")]
    assert world.states() == {**dict.fromkeys(SHOP, "running"), "shop": "stopped", "orders": "failed"}
    world.clock.advance(5)
    assert world.components.restart("orders")
    assert world.called() == starts("orders", "shop")


def test_a_restart_takes_back_what_it_started_for_it_when_it_fails(world: World) -> None:
    with world.raising("start shop", OSError("no port")), pytest.raises(StartFailedError):
        world.components.restart("shop")
    assert world.called() == [*starts("mail", "db", "orders", "shop"), *stops("orders", "db", "mail")]


def test_in_a_restart_the_others_go_on_where_one_of_them_fails(world: World) -> None:
    world.components.start()
    world.called()
    with world.raising("start orders", OSError("no port")), pytest.raises(StartFailedError) as caught:
        world.components.restart("db")
    assert caught.value.component == "orders"
    assert world.called() == [*stops("audit", "shop", "orders", "db"), *starts("db", "orders", "audit")]
    assert world.states() == {
        **dict.fromkeys(SHOP, "running"),
        "orders": "failed",
        "shop": "stopped",
    }


def test_a_stop_that_fails_does_not_keep_it_from_being_restarted(caplog: pytest.LogCaptureFixture) -> None:
    errors = ErrorManager(default="operator")
    errors.sink("operator", lambda record: None)
    for given in (None, errors):
        world = World({"a": ()}, errors=given)
        world.components.start()
        with world.raising("stop a", OSError("busy")):
            assert world.components.restart("a")
        assert world.running() == ["a"]
    assert [(record.component, record.message) for record in errors.recent()] == [("a", "busy")]
    assert [record.getMessage() for record in caplog.records] == ["a: OSError: busy"]


def test_where_start_and_stop_fail_in_a_restart_the_error_is_named_after_the_start(world: World) -> None:
    world.components.start("db")
    world.fail.update({"stop db": OSError("busy"), "start db": ValueError("no file")})
    with pytest.raises(StartFailedError, match="'db' did not start; db: OSError: busy; db: ValueError: no file"):
        world.components.restart("db")


# -- health -----------------------------------------------------------------------------------------------------------


def test_health_is_asked_of_what_runs_and_kept_for_its_run(world: World) -> None:
    assert world.components.check("db").healthy is None
    world.components.start("db")
    assert world.components.check("db").healthy is True
    world.unhealthy.add("db")
    assert world.components.status("db").healthy is True
    assert world.components.check("db").healthy is False
    assert world.components.status("db").healthy is False
    world.components.restart("db")
    assert world.components.status("db").healthy is None


def test_a_health_check_that_raises_says_no_and_why() -> None:
    components = ComponentManager()
    problems = [OSError("no answer")]

    def healthy() -> bool:
        if problems:
            raise problems.pop()
        return True

    components.register(ComponentSpec("db"), start=list, stop=list, healthy=healthy)
    components.register(ComponentSpec("mail"), start=list, stop=list)
    components.start()
    assert (components.check("db").healthy, components.status("db").problem) == (False, "OSError: no answer")
    assert components.status("db").state == "running"
    assert (components.check("db").healthy, components.status("db").problem) == (True, None)
    assert components.check("mail").healthy is None


def test_an_answer_that_comes_after_the_run_it_was_about_is_dropped(world: World) -> None:
    components = ComponentManager()

    def healthy() -> bool:
        components.restart("db")
        return False

    components.register(ComponentSpec("db"), start=list, stop=list, healthy=healthy)
    components.start()
    assert components.check("db").healthy is None


# -- hooks ------------------------------------------------------------------------------------------------------------


def act(world: World, action: str) -> None:
    if action == "register":
        world.add(ComponentSpec("new", needs=("db",)))
    elif action == "start":
        world.components.start()
    elif action == "stop":
        world.components.stop("db")
    else:
        world.components.restart("db", cause="slow")


CHANGES: dict[str, list[tuple[str, str | None]]] = {
    "register": [("new", None)],
    "start": [("shop", None)],
    "stop": [("audit", None), ("orders", None), ("db", None)],
    "restart": [("db", "slow"), ("orders", "slow"), ("audit", "slow")],
}


@pytest.mark.parametrize("by", ["a text", "an error"])
@pytest.mark.parametrize("action", CHANGES)
def test_a_hook_that_refuses_any_of_the_changes_keeps_all_from_being_made(action: str, by: str) -> None:
    for refused, cause in CHANGES[action]:
        world = World()
        world.components.start("orders")
        world.components.start("audit")
        world.components.start("mail")
        world.called()
        before = world.components.components()
        asked: list[ComponentChange] = []

        def hook(change: ComponentChange, asked: Any = asked, refused: str = refused) -> str | None:
            asked.append(change)
            if change.component != refused:
                return None
            if by == "a text":
                return "closed for today"
            raise PermissionError("closed for today")

        remove = world.components.add_hook(hook, name="opening hours")
        with pytest.raises(ChangeRefusedError, match=r"refused by opening hours: .*closed for today") as caught:
            act(world, action)
        assert (caught.value.component, caught.value.action, caught.value.hook) == (refused, action, "opening hours")
        assert isinstance(caught.value.__cause__, PermissionError) == (by == "an error")
        assert asked[-1] == ComponentChange(refused, action, cause)
        assert world.called() == []
        assert world.components.components() == before
        assert ("components.refused", refused, 1) in world.monitoring.values
        assert world.is_whole()
        remove()
        act(world, action)
        assert world.is_whole()


@pytest.mark.parametrize("action", CHANGES)
def test_hooks_are_asked_about_each_change_before_the_first_is_made(world: World, action: str) -> None:
    world.components.start("orders")
    world.components.start("audit")
    world.components.start("mail")
    world.called()
    asked: list[tuple[str, str | None, int]] = []
    world.components.add_hook(lambda change: asked.append((change.component, change.cause, len(world.calls))))
    act(world, action)
    assert asked == [(name, cause, 0) for name, cause in CHANGES[action]]
    changed = {call.partition(" ")[2] for call in world.called()}
    assert changed <= {name for name, _ in CHANGES[action]}


def test_a_hook_that_answers_with_a_truth_value_is_told_that_this_is_no_answer(world: World) -> None:
    world.components.add_hook(lambda change: True, name="eager")
    with pytest.raises(ChangeRefusedError, match="refused by eager: it returned True"):
        world.components.start("db")


def test_a_hook_may_look_but_not_change_what_it_is_asked_about(world: World) -> None:
    seen: list[object] = []

    def hook(change: ComponentChange) -> None:
        seen.append(world.components.status(change.component).state)
        world.components.start("db")

    world.components.add_hook(hook)
    with pytest.raises(ChangeRefusedError, match="asked for by a hook, about start of 'db'"):
        world.components.start("db")
    assert seen == ["stopped"]
    assert world.is_whole()
    assert world.called() == []


def test_what_nobody_asks_to_change_is_not_asked_about(world: World) -> None:
    world.components.start("db")
    asked: list[ComponentChange] = []
    world.components.add_hook(asked.append)
    world.components.start("db")
    world.components.stop("shop")
    assert asked == []


# -- who is told ------------------------------------------------------------------------------------------------------


def test_monitoring_is_told_of_every_state_and_of_what_a_start_took(world: World) -> None:
    world.during["start db"] = lambda: world.clock.advance(2.5)
    world.components.start("db")
    world.components.restart("db")
    world.components.restart("db")
    told = [(what.partition(".")[2], value) for what, component, value in world.monitoring.values if component == "db"]
    start = [("starting", 1), ("running", 1), ("start_time", 2.5)]
    stop = [("stopping", 1), ("stopped", 1)]
    assert told == [*start, *stop, *start, ("restarted", 1), *stop, ("failed", 1), ("given_up", 1)]


class Broken:
    """A manager of any kind, all of whose methods raise."""

    def __getattr__(self, name: str) -> Any:
        def method(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError(f"{name} is broken")

        return method


def test_a_monitoring_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = World(monitoring=Broken(), errors=Broken())
    world.components.start()
    world.components.stop()
    assert world.called() == [*starts(*ORDER), *stops(*reversed(ORDER))]
    assert world.states() == dict.fromkeys(ORDER, "stopped")
    assert "monitoring failed" in caplog.text


@pytest.mark.parametrize("source", STATES)
@pytest.mark.parametrize("target", STATES)
def test_a_way_leads_from_each_state_of_a_machine_to_each(source: str, target: str) -> None:
    state = source
    for event in WAYS[source, target]:
        (state,) = [ends for name, begins, ends in LIFE.transitions if (name, begins) == (event, state)]
    assert state == target
    assert (WAYS[source, target] == ()) == (source == target)


def test_the_life_of_a_component_is_a_table_without_fault() -> None:
    assert TransitionTable.of(LIFE).leaves == STATES


def test_a_machine_for_each_component_goes_through_its_states() -> None:
    with StateManager() as states:
        world = World(states=states)
        assert set(states.names()) == {f"component.{name}" for name in SHOP}
        world.components.start("db")
        world.components.restart("db", cause="slow")
        with world.raising("start orders", OSError("no port")), pytest.raises(StartFailedError):
            world.components.start("orders")
        assert states.state("component.orders") == "failed"
        assert states.history("component.orders")[-1].cause == "OSError: no port"
        world.components.stop("db")
        walked = [(record.event, record.target) for record in states.history("component.db")]
        up, down = [("start", "starting"), ("started", "running")], [("stop", "stopping"), ("stopped", "stopped")]
        assert walked == [*up, *down, *up, *down]
        assert [record.cause for record in states.history("component.db")][2:6] == ["slow"] * 4
        assert {name: states.state(f"component.{name}") for name in SHOP} == world.states()


def test_a_state_manager_that_fails_stops_nothing_and_is_caught_up_with(caplog: pytest.LogCaptureFixture) -> None:
    states = RecordingStateManager()
    world = World({"a": ()}, states=states)
    states.fail["component.a", "started"] = StoreError(store="s", problem="disk full")
    world.components.start()
    assert (world.states()["a"], states.state("component.a")) == ("running", "starting")
    assert "disk full" in caplog.text
    world.components.stop()
    assert states.state("component.a") == "stopped"
    assert [call[2] for call in states.calls] == ["start", "started", "started", "stop", "stopped"]


def test_a_component_that_no_machine_can_be_held_for_is_not_registered() -> None:
    states = RecordingStateManager()

    def full(name: str, definition: object) -> None:
        raise DuplicateMachineError(machine=name, where="the store")

    world = World({}, states=states)
    define, states.define = states.define, full  # type: ignore[method-assign]
    with pytest.raises(DuplicateMachineError):
        world.add(ComponentSpec("a"))
    assert world.states() == {}
    states.define = define  # type: ignore[method-assign]
    world.add(ComponentSpec("a"))
    assert states.names() == ("component.a",)


def test_a_machine_is_given_back_where_its_component_closes_a_circle_by_now() -> None:
    states = RecordingStateManager()
    world = World({}, states=states)

    def hook(change: ComponentChange) -> None:
        remove()
        world.add(ComponentSpec("b", needs=("a",)))

    remove = world.components.add_hook(hook)
    with pytest.raises(ComponentCycleError, match="'a' needs 'b' needs 'a'"):
        world.add(ComponentSpec("a", needs=("b",)))
    assert states.names() == ("component.b",)
    assert world.states() == {"b": "stopped"}


def test_a_name_that_is_being_registered_is_taken(world: World) -> None:
    def hook(change: ComponentChange) -> None:
        remove()
        with pytest.raises(DuplicateComponentError):
            world.add(ComponentSpec("new"))

    remove = world.components.add_hook(hook)
    world.add(ComponentSpec("new"))
    assert world.states()["new"] == "stopped"


def test_machines_that_were_kept_from_an_earlier_process_begin_stopped(tmp_path: Any) -> None:
    for again in (False, True):
        with StateManager(store=SQLiteStore(tmp_path / "states.db")) as states:
            if again:
                states.recover([TransitionTable.of(LIFE)])
                assert states.state("component.a") == "running"
            world = World({"a": ()}, states=states)
            assert states.state("component.a") == "stopped"
            world.components.start()


def test_what_is_logged_is_under_a_name_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "coresys.components"):
        world = World({"a": ()})
        world.components.start()
        with world.raising("stop a", OSError()):
            world.components.restart("a")
    assert [(record.name, record.getMessage()) for record in caplog.records] == [("coresys.components", "a: OSError")]


def test_what_was_started_for_it_stays_where_another_needs_it_by_now() -> None:
    world = World({})
    world.add(ComponentSpec("n"))
    world.add(ComponentSpec("x", needs=("n",), strategy="rest-for-one"))
    world.add(ComponentSpec("m", needs=("n",)))
    world.components.start()
    world.components.restart("n")
    assert not world.components.restart("n")
    world.called()
    assert world.states() == {"n": "failed", "x": "stopped", "m": "stopped"}
    with world.raising("start x", OSError("no port")), pytest.raises(StartFailedError, match="no port"):
        world.components.restart("x")
    assert world.called() == starts("n", "x", "m")
    assert world.states() == {"n": "running", "x": "failed", "m": "running"}
