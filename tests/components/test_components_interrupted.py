"""Exceptions out of nowhere, at any place and in any callback: components stay whole, and nothing stays claimed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from components_helping import ORDER, Runner, World, starts, stops
from interrupting import NOT_TRACED, Hitting, untraced

from coresys.components import claims, hooks, manager, registry, telling, work
from coresys.errors.hierarchy import ComponentBusyError, ComponentError
from coresys.state import StateManager
from coresys.system_records import ComponentSpec
from coresys.testing.fakes import RecordingStateManager

SAME_HANDLER = sys.version_info >= (3, 11)
FILES = {module.__file__ for module in (claims, hooks, manager, registry, telling, work)}


class Kept(World):
    """Keeps count: of each component its start() and stop() have to be called in turns, and what is up is up."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.up: set[str] = set()
        self.torn: set[str] = set()  # those whose start() or stop() did not return, and so were not counted

    def call(self, what: str) -> None:
        verb, _, name = what.partition(" ")
        assert (verb == "start") != (name in self.up) or name in self.torn, what
        self.torn.add(name)
        super().call(what)
        self.torn.discard(name)
        (self.up.add if verb == "start" else self.up.discard)(name)

    def is_whole(self) -> bool:
        """Whether what the manager takes for running is what runs, as far as it can be known."""
        return super().is_whole() and set(self.running()) - self.torn == self.up - self.torn


def usable_by_all(world: Kept) -> bool:
    """Whether another thread can stop and start all, and this one then stop it."""
    world.during.clear()
    world.fail.clear()
    world.clock.advance(100)
    for change in (world.components.stop, world.components.start):
        Runner(change).finish()
    good = set(world.running()) == world.up == set(ORDER)
    world.components.stop()
    return good and not world.up and not world.running()


def begin(what: str) -> tuple[Kept, Callable[[], object]]:
    world = Kept(states=RecordingStateManager())
    components = world.components
    if what in ("stop", "restart", "restart too often", "start that fails"):
        components.start("mail" if what == "start that fails" else None)
    if what == "restart too often":
        components.restart("db")
    if what == "start that fails":
        world.fail["start shop"] = OSError("no port")
    if what == "nested start":
        world.during["start db"] = lambda: world.components.start("mail")
    works: dict[str, Callable[[], object]] = {
        "start": components.start,
        "start that fails": components.start,
        "nested start": lambda: components.start("orders"),
        "stop": components.stop,
        "restart": lambda: components.restart("db"),
        "restart too often": lambda: components.restart("db"),
        "register": lambda: world.add(ComponentSpec("new", needs=("db",))),
        "check": lambda: components.check("db"),
    }

    def work() -> None:
        try:
            works[what]()
        except ComponentError:
            pass

    return world, work


WORKS = ["start", "start that fails", "nested start", "stop", "restart", "restart too often", "register", "check"]


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("what", WORKS)
def test_an_interruption_at_any_place_leaves_components_whole_and_usable(what: str) -> None:
    at = 0
    while True:
        at += 1
        world, work = begin(what)
        hitting = Hitting(FILES, at, same_handler=SAME_HANDLER)
        if not hitting.watching(work):
            break
        assert world.is_whole(), (at, hitting.where, world.states(), world.up)
        if what == "register":
            try:
                world.add(ComponentSpec("new", needs=("db",)))
            except ComponentError:
                pass
            assert "new" in world.states(), (at, hitting.where)
            continue
        if at % 3 == 0:
            assert usable_by_all(world), (at, hitting.where)
    assert at > (5 if what == "check" else 50)


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("what", ["start", "stop"])
def test_an_interrupted_change_is_taken_back_or_carried_through(what: str) -> None:
    """No half of it: a start leaves nothing running, a stop nothing up."""
    at = 0
    while True:
        at += 1
        world, work = begin(what)
        hitting = Hitting({manager.__file__, telling.__file__}, at, same_handler=SAME_HANDLER)
        if not hitting.watching(work):
            break
        if hitting.raised:
            assert world.up in (set(), set(ORDER)), (at, hitting.where, world.up)
    assert at > 50


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("what", ["start", "restart", "stop"])
def test_a_signals_handler_at_any_place_is_waited_for_by_nobody(what: str) -> None:
    at = 0
    while True:
        at += 1
        world, work = begin(what)
        told: list[str] = []

        def handler(world: Kept = world, told: list[str] = told) -> None:
            world.components.status("db")
            try:
                world.components.start("mail")
                told.append("started")
            except ComponentBusyError:
                told.append("refused")

        hitting = Hitting(FILES, at, untraced(handler))
        runner = Runner(lambda hitting=hitting, work=work: hitting.watching(work))  # type: ignore[misc]
        runner.finish()
        if hitting.seen < at:
            break
        assert len(told) == 1, (at, hitting.where)
        assert world.is_whole(), (at, hitting.where)
        if at % 10 == 0:
            assert usable_by_all(world), (at, hitting.where)
    assert at > 50


# -- faults in every callback -----------------------------------------------------------------------------------------


class Stop(BaseException):
    """Neither an error nor one of the interpreter's own."""


FAULTS = [OSError("a fault"), KeyboardInterrupt(), SystemExit(3), Stop(), RecursionError("deep")]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("name", ORDER)
@pytest.mark.parametrize(
    ("action", "verb"), [("start", "start"), ("stop", "stop"), ("restart", "start"), ("restart", "stop")]
)
def test_a_fault_in_any_callback(action: str, verb: str, name: str, fault: BaseException) -> None:
    world = Kept()
    if action != "start":
        world.components.start()
    world.fail[f"{verb} {name}"] = fault
    work: dict[str, Callable[[], object]] = {
        "start": world.components.start,
        "stop": world.components.stop,
        "restart": lambda: world.components.restart("db"),
    }
    involved = action != "restart" or name != "mail"
    told = involved and not (action == "restart" and verb == "stop" and isinstance(fault, Exception))
    if told:
        kind = ComponentError if isinstance(fault, Exception) else type(fault)
        with pytest.raises(kind) as caught:
            work[action]()
        error = caught.value
        if isinstance(fault, Exception):
            assert fault in getattr(error, "causes", ())
        else:
            assert error is fault
    else:
        work[action]()
    assert super(Kept, world).is_whole()
    if action == "start":
        assert world.running() == []
        assert world.states()[name] == "failed"
    elif action == "stop":
        assert world.running() == []
    world.torn.clear()
    world.up = set(world.running())
    assert usable_by_all(world)


def test_an_interruption_in_a_start_is_raised_as_it_is_and_all_else_is_told(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.fail.update({"start shop": KeyboardInterrupt(), "stop db": OSError("busy")})
    with pytest.raises(KeyboardInterrupt):
        world.components.start("shop")
    assert world.called() == [*starts("mail", "db", "orders", "shop"), *stops("orders", "db", "mail")]
    assert world.states()["shop"] == "failed"
    assert world.components.status("shop").problem == "KeyboardInterrupt"
    assert [record.getMessage() for record in caplog.records] == ["db: OSError: busy"]


def test_an_interruption_of_whoever_waits_leaves_nothing_behind() -> None:
    world = World()
    inside, go = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        assert go.wait(20)

    world.during["start db"] = hold
    one = Runner(lambda: world.components.start("db"))
    assert inside.wait(20)
    at = 0
    seen = []
    while True:
        at += 1
        hitting = Hitting({claims.__file__}, at, same_handler=SAME_HANDLER)
        world.components._claims._timeout = 0.0
        if not hitting.watching(lambda: refused(world)):
            break
        seen.append(hitting.raised)
        assert not world.components._claims._waiting, (at, hitting.where)
        assert len(world.components._claims) == 1
    assert sum(seen) > 10
    go.set()
    one.finish()
    assert world.is_whole()


def refused(world: World) -> None:
    with pytest.raises(ComponentBusyError):
        world.components.stop("db")


def test_with_a_real_state_manager_the_machines_follow_through_faults() -> None:
    for fault in FAULTS:
        with StateManager() as states:
            world = World(states=states)
            world.fail["start shop"] = fault
            with pytest.raises((ComponentError, type(fault))):
                world.components.start()
            world.fail.clear()
            world.components.start()
            world.fail["stop mail"] = fault
            with pytest.raises((ComponentError, type(fault))):
                world.components.stop()
            assert {name: states.state(f"component.{name}") for name in ORDER} == world.states()
