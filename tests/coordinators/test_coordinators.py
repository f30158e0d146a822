"""The four coordinators, each over managers that it is given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from inturn import in_turn

from coresys.cleanup.manager import CleanupManager
from coresys.components.manager import ComponentManager
from coresys.coordinators.assembly import build_system
from coresys.coordinators.cleanup import CleanupCoordinator
from coresys.coordinators.component import ComponentCoordinator
from coresys.coordinators.monitoring import MonitoringCoordinator
from coresys.coordinators.testing import TestingCoordinator
from coresys.errors.hierarchy import (
    DuplicateComponentError,
    DuplicateEnvironmentError,
    DuplicateMachineError,
    LeftBehindError,
    StartFailedError,
    StateError,
    UnknownEnvironmentError,
)
from coresys.monitoring.manager import MonitoringManager
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier
from coresys.state import StateManager
from coresys.system_records import AllocationRecord, CleanupStep, ComponentSpec, EnvironmentSpec, ErrorRecord
from coresys.testing.manager import TestManager
from coresys.threads import LockHierarchy, ThreadManager, ThreadPool


def some_resources() -> ResourceManager:
    return ResourceManager(BufferPools((Tier("small", 4096, 8),), timeout=0.0))


class DiskFullError(StateError):
    """What a store raises, perhaps."""


class Unreachable(StateManager):
    """Whose store is beyond reach, while ``broken``."""

    broken = False

    def fire(self, name: str, event: str, payload: Any = None, **told: Any) -> Any:
        if self.broken:
            raise DiskFullError
        return super().fire(name, event, payload, **told)


# -- components ------------------------------------------------------------------------------------------------------


class Parts:
    def __init__(self, on_left: Callable[[str, tuple[str, ...]], object] | None = None) -> None:
        self.state, self.resources, self.components = Unreachable(), some_resources(), ComponentManager()
        self.coordinator = ComponentCoordinator(
            components=self.components, state=self.state, resources=self.resources, on_left=on_left
        )

    def at(self, name: str) -> str:
        return self.coordinator.state.state(name)


def test_a_component_is_a_machine_whoever_starts_and_stops_it() -> None:
    parts = Parts()
    parts.coordinator.register(ComponentSpec("db"), start=list, stop=list)
    parts.coordinator.register(ComponentSpec("web", needs=("db",)), start=list, stop=list)
    assert (parts.at("web"), parts.state.names()) == ("stopped", ("components/db", "components/web"))
    parts.components.start("web")
    assert (parts.at("db"), parts.at("web")) == ("running", "running")
    parts.coordinator.restart("web")
    parts.coordinator.stop()
    assert (parts.at("db"), parts.at("web")) == ("stopped", "stopped")
    events = [each.event for each in parts.coordinator.state.history("web")]
    assert events == ["start", "started", "stop", "stopped"] * 2
    assert repr(parts.coordinator) == "<ComponentCoordinator: db stopped, web stopped>"


def test_what_a_component_leaves_is_taken_back_and_told() -> None:
    told: list[tuple[str, int]] = []
    parts = Parts(on_left=lambda name, left: told.append((name, len(left))))
    closed: list[str] = []

    def start() -> None:
        parts.coordinator.resources.lease(10, owner="web")
        kept.append(parts.coordinator.resources.lease(10, owner="web"))
        parts.coordinator.resources.register("f", owner="web", close=lambda: closed.append("f"))

    kept: list[object] = []
    parts.coordinator.register(ComponentSpec("web"), start=start, stop=list)
    parts.coordinator.start("web")
    assert parts.coordinator.left("web") == ()
    parts.coordinator.stop("web")
    (left,) = parts.coordinator.left("web")
    assert left.startswith("a buffer of 10 bytes, taken at ")
    assert __file__ in left
    assert (told, closed, parts.resources.leases()) == ([("web", 1)], ["f"], ())


def test_what_failed_to_start_has_let_go_and_failed() -> None:
    parts = Parts()
    kept: list[object] = []

    def start() -> None:
        kept.append(parts.coordinator.resources.lease(10, owner="web"))
        raise OSError("no port")

    parts.coordinator.register(ComponentSpec("web"), start=start, stop=list)
    with pytest.raises(StartFailedError, match="no port"):
        parts.coordinator.start()
    assert (parts.at("web"), parts.resources.leases()) == ("failed", ())
    assert parts.coordinator.state.history("web")[-1].cause == "OSError: no port"
    assert parts.coordinator.status("web").state == "failed"


def test_whoever_is_told_and_fails_hides_nothing() -> None:
    def tell(name: str, left: tuple[str, ...]) -> None:
        raise RuntimeError("no ear")

    parts = Parts(on_left=tell)
    kept: list[object] = []
    parts.coordinator.register(
        ComponentSpec("web"), start=lambda: kept.append(parts.coordinator.resources.lease(1, owner="web")), stop=list
    )
    parts.coordinator.start()
    parts.coordinator.stop()
    assert parts.at("web") == "stopped"
    assert parts.coordinator.left("web")[1] == "whoever was to be told failed: RuntimeError: no ear"


def test_what_fails_to_close_as_a_component_stops_is_an_error_of_it() -> None:
    def fail() -> None:
        raise OSError("no goodbye")

    received: list[ErrorRecord] = []
    with build_system("shop", sampling=None) as system:
        system.errors.sink("operator", received.append)
        system.errors.route("web", "operator")
        component = system.coordinators.component
        component.register(ComponentSpec("web"), start=list, stop=list)
        component.start("web")
        component.resources.register("connection", owner="web", close=fail)
        component.stop("web")
    assert [(each.component, each.causes[0].message) for each in received] == [("web", "no goodbye")]


def test_whoever_is_told_of_an_error_and_fails_keeps_nothing_from_stopping() -> None:
    def fail(*_: object) -> None:
        raise OSError("no ear")

    parts = Parts()
    coordinator = ComponentCoordinator(
        components=parts.components, state=parts.state, resources=parts.resources, part="others", on_error=fail
    )
    coordinator.register(ComponentSpec("web"), start=list, stop=list)
    coordinator.start("web")
    coordinator.resources.register("connection", owner="web", close=fail)
    coordinator.stop("web")
    assert coordinator.state.state("web") == "stopped"
    assert "no ear" in coordinator.left("web")[0]


def test_a_component_stops_and_starts_again_though_no_note_could_be_taken_of_it() -> None:
    parts = Parts()
    made: list[str] = []
    parts.coordinator.register(
        ComponentSpec("web"), start=lambda: made.append("start"), stop=lambda: made.append("stop")
    )
    parts.coordinator.start()
    parts.state.broken = True
    parts.coordinator.stop()
    parts.state.broken = False
    parts.coordinator.start()
    assert (made, parts.at("web")) == (["start", "stop", "start"], "running")


def test_a_component_that_is_refused_leaves_nothing_declared() -> None:
    parts = Parts()
    parts.components.register(ComponentSpec("web"), start=list, stop=list)
    parts.coordinator.resources.limit("web", lease=8192)
    with pytest.raises(DuplicateComponentError):
        parts.coordinator.register(ComponentSpec("web"), start=list, stop=list, lease=4096, reserve=4096)
    assert parts.state.names() == ()
    usage = parts.coordinator.resources.usage("web")
    assert (usage.lease_limit, usage.lease_reserve) == (8192, 0)


# -- cleanup ---------------------------------------------------------------------------------------------------------


class Down:
    def __init__(self) -> None:
        self.state, self.resources, self.cleanup = Unreachable(), some_resources(), CleanupManager()
        self.coordinator = CleanupCoordinator(cleanup=self.cleanup, state=self.state, resources=self.resources)

    def events(self) -> list[str]:
        return [each.event for each in self.coordinator.state.history("system")]


def test_a_system_goes_down_in_order_and_tells_what_was_left() -> None:
    down = Down()
    kept = [down.resources.lease(10, owner="web") for _ in range(3)]
    kept += [down.resources.lease(20, owner="other")]
    down.coordinator.owner("web", after=("listen no more",))
    down.coordinator.add(CleanupStep("listen no more"), list)
    assert not down.coordinator.is_down
    report = down.coordinator.run()
    assert report.done == ("listen no more", "release web")
    assert [line.partition(", taken")[0] for line in report.left] == ["a buffer of 10 bytes, lent to 'web'"] * 3 + [
        "a buffer of 20 bytes, lent to 'other'"
    ]
    assert not report.complete
    assert (down.events(), down.coordinator.is_down) == (["begin", "fail"], False)
    kept[-1].release()
    assert down.coordinator.run().complete
    assert down.coordinator.is_down


def test_the_end_of_a_channel_is_not_the_end_of_the_system() -> None:
    down = Down()
    down.coordinator.add(CleanupStep("a", channel="x"), list)
    assert down.coordinator.run(channel="x").done == ("a",)
    assert (down.events(), down.coordinator.is_down) == ([], False)


def test_a_run_from_inside_a_step_neither_ends_the_outer_one_nor_takes_its_report() -> None:
    down = Down()
    lease, inner = down.resources.lease(10, owner="web"), list[Any]()
    down.coordinator.owner("web")

    def again() -> None:
        inner.append((down.coordinator.run(), down.coordinator.state.state("system")))

    down.coordinator.add(CleanupStep("again", after=("release web",)), again)
    report = down.coordinator.run(deadline=10)  # on a thread of its own
    assert len(report.left) == 1
    assert inner[0][0].done == inner[0][0].left == ()
    assert inner[0][1] == "going down"
    assert down.events() == ["begin", "fail"]
    assert lease is not None


def test_two_that_take_a_system_down_at_once_both_tell_what_was_left() -> None:
    down = Down()
    entered, go_on = threading.Event(), threading.Event()
    lease = down.resources.lease(10, owner="web")
    down.coordinator.add(CleanupStep("slow"), in_turn(entered.set, lambda: go_on.wait(10)))
    down.coordinator.owner("web", after=("slow",))
    reports: list[Any] = []
    runners = [threading.Thread(target=lambda: reports.append(down.coordinator.run())) for _ in range(2)]
    for each in runners:
        each.start()
    entered.wait(10)
    while len(down.coordinator._runs) < 2:
        pass
    go_on.set()
    for each in runners:
        each.join()
    assert [len(report.left) for report in reports] == [1, 1]
    assert down.events() == ["begin", "fail"]
    assert lease is not None


def test_a_store_beyond_reach_keeps_nobody_from_going_down() -> None:
    down = Down()
    down.state.broken = True
    down.coordinator.add(CleanupStep("a"), list)
    assert down.coordinator.run().done == ("a",)


def test_what_interrupts_a_step_is_raised_when_all_were_begun() -> None:
    down, made = Down(), list[str]()

    def interrupted() -> None:
        raise KeyboardInterrupt

    down.coordinator.add(CleanupStep("a"), interrupted)
    down.coordinator.add(CleanupStep("b", after=("a",)), lambda: made.append("b"))
    with pytest.raises(KeyboardInterrupt):
        down.coordinator.run()
    assert (made, down.events()) == (["b"], ["begin", "fail"])
    assert down.coordinator.run().complete


# -- monitoring ------------------------------------------------------------------------------------------------------


def test_gauges_are_what_threads_locks_and_buffers_do() -> None:
    monitoring, resources = MonitoringManager(), some_resources()
    threads = ThreadManager(pool=ThreadPool(4), hierarchy=LockHierarchy("m", ["a"]))
    coordinator = MonitoringCoordinator(monitoring=monitoring, threads=threads, resources=resources)
    lock = threads.lock("a", name="book")
    threads.submit(pow, 2, 5).result()
    lease = resources.lease(10, owner="web")
    with lock:
        report = coordinator.report()
    gauges = {(name, component): value for name, component, value in report.monitoring.gauges}
    assert report.allocations == (AllocationRecord("web", "small", 4096, 1, 0),)
    assert gauges["threads.completed", ""] == 1
    assert gauges["threads.queued", "processing"] == 0
    assert gauges["locks.waited", "book"] == 0
    assert gauges["pools.busy", "small"] == 1
    assert gauges["resources.leased", "web"] == 4096
    lease.release()
    coordinator.observe()
    gauges = {(name, component): value for name, component, value in monitoring.snapshot().gauges}
    assert (gauges["resources.leased", "web"], gauges["pools.busy", "small"]) == (0, 0)
    coordinator.monitoring.count("looks")
    assert ("looks", "monitoring", 1.0) in monitoring.snapshot().counters
    threads.shutdown()
    coordinator.observe()


# -- tests -----------------------------------------------------------------------------------------------------------


class World:
    """An environment that leaves what it is told to."""

    def __init__(self, spec: EnvironmentSpec) -> None:
        self.name = spec.name
        self.leaves: tuple[str, ...] = ()
        self.error: BaseException | None = None

    def left(self) -> tuple[str, ...]:
        return self.leaves

    def close(self) -> tuple[str, ...]:
        if self.error is not None:
            raise self.error
        return self.leaves


class Opening:
    def __init__(self) -> None:
        self.state, self.resources, self.closed = Unreachable(), some_resources(), list[str]()
        self.tests = TestManager(World)  # type: ignore[arg-type]  # has no managers
        self.coordinator = TestingCoordinator(
            tests=self.tests,
            resources=self.resources,
            state=self.state,
            on_closed=lambda record: self.closed.append(record.name),
        )


def test_an_environment_is_a_machine_while_it_is_open() -> None:
    tested = Opening()
    with tested.coordinator.environment("a") as environment:
        assert environment.name == "tests/a"
        assert tested.coordinator.state.state("a") == "open"
        with pytest.raises(DuplicateEnvironmentError):
            tested.coordinator.open(EnvironmentSpec("a"))
        assert tested.coordinator.state.state("a") == "open"
        assert tested.coordinator.verify("a").left == ()
    assert (tested.state.names(), tested.closed, tested.coordinator.opened) == ((), ["a"], 1)
    assert tested.coordinator.last is not None
    with pytest.raises(UnknownEnvironmentError):
        tested.coordinator.close("a")


def _leave_and_raise(environment: Any) -> None:
    environment.leaves = ("a thing",)
    raise OSError("mine")


def test_what_was_left_is_raised_unless_an_error_is_on_its_way() -> None:
    tested = Opening()
    with pytest.raises(LeftBehindError, match="a thing"), tested.coordinator.environment("a") as environment:
        environment.leaves = ("a thing",)  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="mine"), tested.coordinator.environment("a") as environment:
        _leave_and_raise(environment)
    assert tested.coordinator.last is not None
    assert tested.coordinator.last.left == ("a thing",)
    assert tested.tests.environments() == ()


def test_an_environment_that_no_machine_can_be_made_for_is_closed_again() -> None:
    tested = Opening()
    tested.state.broken = True
    with pytest.raises(DiskFullError):
        tested.coordinator.open(EnvironmentSpec("a"))
    assert (tested.tests.environments(), tested.state.names()) == ((), ())
    tested.state.broken = False
    with tested.coordinator.environment("a"):
        pass
    with pytest.raises(ValueError, match="a machine that is held has a name"):
        tested.coordinator.open(EnvironmentSpec(""))
    assert tested.tests.environments() == ()


def test_an_environment_is_closed_though_no_note_can_be_taken_of_it() -> None:
    tested = Opening()
    tested.coordinator.open(EnvironmentSpec("a"))
    tested.state.broken = True
    assert not tested.coordinator.close("a").open
    assert tested.state.names() == ()


def test_all_that_are_open_are_closed_whatever_becomes_of_one() -> None:
    tested = Opening()
    for name in ("a", "b", "c"):
        tested.coordinator.open(EnvironmentSpec(name))
    world: Any = tested.coordinator.tests.environment("b")
    world.error = OSError("stuck")
    with pytest.raises(OSError, match="stuck"):
        tested.coordinator.close_all()
    assert tested.closed == ["c", "a"]
    assert (tested.tests.environments(), tested.state.names()) == ((), ())
    assert tested.coordinator.close_all() == ()


def test_a_machine_of_the_name_that_is_there_already_leaves_no_environment() -> None:
    tested = Opening()
    tested.coordinator.open(EnvironmentSpec("a"))
    tested.tests.close_environment("tests/a")  # past the coordinator
    with pytest.raises(DuplicateMachineError):
        tested.coordinator.open(EnvironmentSpec("a"))
    assert tested.tests.environments() == ()
