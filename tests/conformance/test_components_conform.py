"""What IComponentManager promises. All names begin with ``t.``, so that a view of such names can be asked too."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

import pytest
from conforming import at_once

from coresys.errors.hierarchy import (
    ComponentCycleError,
    ComponentError,
    CoreSysError,
    DuplicateComponentError,
    StartFailedError,
    StopFailedError,
    UnknownComponentError,
)
from coresys.interfaces import IComponentManager
from coresys.system_records import ComponentSpec

ROLE = "components"


class Calls:
    """Components ``t.a``, ``t.b`` (needs a), ``t.c`` (needs b) and ``t.d``, and what was called of them."""

    def __init__(self, components: IComponentManager, *, restarts: int = 1) -> None:
        self.components, self.restarts = components, restarts
        self.made: list[str] = []
        self.fail: dict[str, BaseException] = {}
        for name, needs in (("t.c", ("t.b",)), ("t.a", ()), ("t.b", ("t.a",)), ("t.d", ())):
            self.add(name, *needs)

    def add(self, name: str, *needs: str, strategy: str = "one-for-one") -> None:
        spec = ComponentSpec(name, needs=needs, restarts=self.restarts, within=1000.0, strategy=strategy)
        self.components.register(
            spec, start=partial(self.call, f"start {name}"), stop=partial(self.call, f"stop {name}")
        )

    def call(self, what: str) -> None:
        self.made.append(what)
        if what in self.fail:
            raise self.fail[what]

    def taken(self) -> list[str]:
        made, self.made[:] = list(self.made), []
        return made

    def states(self) -> dict[str, str]:
        return {record.name: record.state for record in self.components.components()}


ALL = ("t.a", "t.b", "t.c", "t.d")


def test_all_are_told_in_the_order_they_start_in(one: IComponentManager) -> None:
    calls = Calls(one)
    found = one.components()
    names = [record.name for record in found]
    assert sorted(names) == list(ALL)
    assert names.index("t.a") < names.index("t.b") < names.index("t.c")
    assert {record.name: record.needs for record in found} == {"t.a": (), "t.b": ("t.a",), "t.c": ("t.b",), "t.d": ()}
    assert {record.state for record in found} == {"stopped"}
    assert [one.status(name) for name in names] == list(found)
    assert calls.made == []
    one.start()
    assert calls.made == [f"start {name}" for name in names]


def test_what_is_needed_runs_before_and_until(one: IComponentManager) -> None:
    calls = Calls(one)
    one.start("t.b")
    assert calls.taken() == ["start t.a", "start t.b"]
    one.start()
    assert set(calls.taken()) == {"start t.c", "start t.d"}
    one.stop("t.b")
    assert calls.taken() == ["stop t.c", "stop t.b"]
    assert calls.states() == {"t.a": "running", "t.b": "stopped", "t.c": "stopped", "t.d": "running"}
    one.start("t.c")
    calls.taken()
    one.stop()
    made = calls.taken()
    assert sorted(made) == [f"stop {name}" for name in ALL]
    assert [call for call in made if call != "stop t.d"] == ["stop t.c", "stop t.b", "stop t.a"]


def test_to_start_what_runs_and_to_stop_what_does_not_is_nothing(one: IComponentManager) -> None:
    calls = Calls(one)
    one.stop()
    one.stop("t.a")
    assert calls.taken() == []
    one.start()
    assert len(calls.taken()) == 4
    one.start()
    one.start("t.c")
    assert calls.taken() == []


def test_one_that_would_need_itself_is_refused(one: IComponentManager) -> None:
    calls = Calls(one)
    calls.add("t.f", "t.e")
    with pytest.raises(DuplicateComponentError):
        calls.add("t.a")
    for name, need in (("t.g", "t.g"), ("t.e", "t.f")):
        with pytest.raises(ComponentCycleError):
            calls.add(name, need)
    assert set(calls.states()) == {*ALL, "t.f"}
    calls.add("t.e")
    one.start("t.f")
    assert calls.made == ["start t.e", "start t.f"]


def test_a_component_has_a_name(one: IComponentManager) -> None:
    calls = Calls(one)
    with pytest.raises(ComponentError):
        calls.add("")
    assert set(calls.states()) == set(ALL)


def test_what_is_needed_and_not_there_is_told(one: IComponentManager) -> None:
    calls = Calls(one)
    calls.add("t.f", "t.a", "t.e")
    with pytest.raises(UnknownComponentError):
        one.start("t.f")
    assert calls.made == []
    assert calls.states()["t.a"] == "stopped"


def test_an_unknown_name_is_an_error_that_has_it(one: IComponentManager) -> None:
    calls = Calls(one)
    for question in (one.start, one.stop, one.restart, one.status):
        with pytest.raises(CoreSysError, match="unheard of") as caught:
            question("t.unheard of")
        assert str(vars(caught.value)["component"]).endswith("t.unheard of")
    assert calls.made == []


def test_a_failed_start_leaves_nothing_behind(one: IComponentManager) -> None:
    calls = Calls(one)
    one.start("t.d")
    calls.taken()
    calls.fail["start t.c"] = OSError("gone")
    for start in (partial(one.start, "t.c"), one.start):
        with pytest.raises(StartFailedError, match=r"t\.c.*gone"):
            start()
        assert calls.taken() == ["start t.a", "start t.b", "start t.c", "stop t.b", "stop t.a"]
        assert calls.states() == {"t.a": "stopped", "t.b": "stopped", "t.c": "failed", "t.d": "running"}
    problem = one.status("t.c").problem
    assert problem is not None
    assert "gone" in problem
    calls.fail.clear()
    one.start()
    assert set(calls.states().values()) == {"running"}


def test_an_interruption_of_a_start_is_raised_and_leaves_nothing_behind(one: IComponentManager) -> None:
    calls = Calls(one)
    calls.fail["start t.b"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        one.start()
    states = calls.states()
    assert (states["t.a"], states["t.c"], states["t.d"]) == ("stopped",) * 3
    assert states["t.b"] != "running"
    started = [call.split()[1] for call in calls.made if call.startswith("start")]
    stopped = [call.split()[1] for call in calls.made if call.startswith("stop")]
    assert sorted(started) == sorted([*stopped, "t.b"])


def test_a_failed_stop_keeps_nothing_from_stopping_and_all_is_told(one: IComponentManager) -> None:
    calls = Calls(one)
    one.start()
    calls.taken()
    calls.fail.update({"stop t.b": OSError("lost"), "stop t.d": ValueError("gone")})
    with pytest.raises(StopFailedError) as caught:
        one.stop()
    told = str(caught.value)
    assert all(each in told for each in ("t.b", "lost", "t.d", "gone")), told
    assert len(caught.value.problems) == 2
    assert sorted(calls.taken()) == [f"stop {name}" for name in ALL]
    assert calls.states() == {"t.a": "stopped", "t.b": "failed", "t.c": "stopped", "t.d": "failed"}


def test_an_interruption_of_a_stop_is_raised_when_all_has_stopped(one: IComponentManager) -> None:
    calls = Calls(one)
    one.start()
    calls.taken()
    calls.fail["stop t.b"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        one.stop()
    assert sorted(calls.taken()) == [f"stop {name}" for name in ALL]
    assert "running" not in calls.states().values()


def test_a_restart_is_counted_and_too_many_of_them_are_refused(one: IComponentManager) -> None:
    calls = Calls(one)
    one.start()
    calls.taken()
    assert one.restart("t.b", cause="a test") is True
    assert calls.taken() == ["stop t.c", "stop t.b", "start t.b", "start t.c"]
    assert (one.status("t.b").restarted, one.status("t.c").restarted) == (1, 0)
    assert one.restart("t.b") is False
    assert calls.taken() == ["stop t.c", "stop t.b"]
    assert calls.states() == {"t.a": "running", "t.b": "failed", "t.c": "stopped", "t.d": "running"}
    assert one.status("t.b").problem
    one.start("t.c")  # somebody who asks for it gets it
    assert calls.taken() == ["start t.b", "start t.c"]


def test_by_rest_for_one_those_that_start_after_it_are_restarted_too(one: IComponentManager) -> None:
    calls = Calls(one)
    calls.add("t.e", strategy="rest-for-one")
    calls.add("t.f")
    one.start()
    calls.taken()
    names = [record.name for record in one.components()]
    after = names[names.index("t.e") :]
    assert one.restart("t.e") is True
    assert calls.taken() == [*(f"stop {name}" for name in reversed(after)), *(f"start {name}" for name in after)]


def test_a_component_is_shown_in_the_midst_of_its_change(one: IComponentManager) -> None:
    seen: list[str] = []

    def look() -> None:
        seen.append(one.status("t.x").state)

    one.register(ComponentSpec("t.x"), start=look, stop=look)
    look()
    one.start("t.x")
    look()
    one.stop("t.x")
    look()
    assert seen == ["stopped", "starting", "running", "stopping", "stopped"]


def test_many_threads_start_and_stop_each_component_in_turns(one: IComponentManager) -> None:
    calls = Calls(one, restarts=1000)
    wrong: list[str] = []
    running, guard = dict.fromkeys(ALL, False), threading.Lock()

    def call(what: str) -> None:
        action, _, name = what.partition(" ")
        with guard:
            if running[name] == (action == "start"):
                wrong.append(f"{what}, twice")
            running[name] = action == "start"
            need = {"t.b": "t.a", "t.c": "t.b"}.get(name)
            if need is not None and not running[need]:
                wrong.append(f"{what} without {need}")

    calls.call = call  # type: ignore[method-assign]
    for name in ALL:  # registered with the other one
        assert one.status(name).state == "stopped"
    for name, needs in (("t.u", ()), ("t.v", ("t.u",))):
        running[name] = False
        calls.add(name, *needs)
    running.update(dict.fromkeys(("t.u", "t.v"), False))

    def work(number: int) -> None:
        for turn in range(6):
            name = ("t.u", "t.v")[(number + turn) % 2]
            with suppress(CoreSysError):  # of two that ask at once one may be told to wait for its turn
                (one.start, one.stop, one.restart)[(number + turn) % 3](name)

    at_once(*(partial(work, number) for number in range(4)))
    one.stop("t.u")
    assert wrong == []
    assert not any(running.values())
    assert {one.status(name).state for name in ("t.u", "t.v")} == {"stopped"}


def test_two_never_meet(one: IComponentManager, other: IComponentManager) -> None:
    theirs = Calls(other)
    assert one.components() == ()
    mine = Calls(one)
    mine.add("t.e", strategy="rest-for-one")
    theirs.add("t.f")  # which starts after it, where both are in one order
    other.start()
    theirs.taken()
    one.start()
    assert one.restart("t.e") is True
    one.stop("t.a")
    one.stop()
    assert theirs.made == []
    assert set(theirs.states().values()) == {"running"}
    assert set(mine.states().values()) == {"stopped"}
    with pytest.raises(CoreSysError):
        other.status("t.e")
    other.stop()
    assert len(theirs.made) == 5
