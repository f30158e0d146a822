"""What a system keeps when it is down: nothing, and it is kept by nothing."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from coresys import build_system
from coresys.coordinators.assembly import System, build_environment
from coresys.coordinators.environment import SystemEnvironment
from coresys.coordinators.testing import TestingCoordinator
from coresys.errors import CircuitBreaker, RestartComponent, Retrying
from coresys.errors.backoff import stop_after_attempt
from coresys.monitoring.alarms import Threshold
from coresys.resources.tiers import Tier
from coresys.state import State, TransitionTable, after, on
from coresys.system_records import CleanupStep, ComponentSpec, EnvironmentSpec


class Service:
    """As services are: it has the system, which has its methods."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.lock = system.threads.lock("service")
        system.errors.policies("service", {OSError: [RestartComponent(system.components)]})
        system.coordinators.component.register(ComponentSpec("service"), start=self.start, stop=self.stop)
        system.components.add_hook(lambda change: self.stop())
        system.coordinators.cleanup.add(CleanupStep("stop", phase="drain"), self.stop)

    def start(self) -> None:
        self.system.threads.submit(self.stop).result()

    def stop(self) -> None:
        with self.system.resources.lease(10, owner="service"):
            self.system.coordinators.monitoring.observe()


@pytest.mark.parametrize("sampling", [None, 1000.0], ids=["unsampled", "sampled"])
@pytest.mark.parametrize("stored", [False, True], ids=["in-memory", "stored"])
def test_a_system_that_is_down_is_gone_with_whoever_had_it_without_a_collector(
    sampling: float | None, stored: bool, tmp_path: Path
) -> None:
    gc.collect()
    gc.disable()
    try:
        store = tmp_path / "states.db" if stored else None
        with build_system("short", store=store, workers=2, ranks=["service"], sampling=sampling) as system:
            service = Service(system)
            system.start()
        assert system.components.status("service").state == "stopped"
        assert system.coordinators.cleanup.is_down
        seen = [weakref.ref(each) for each in (system, service, system.errors, system.components)]
        del system, service
        assert [each() for each in seen] == [None] * len(seen)
    finally:
        gc.enable()


# What a test may do with its environment, each of which makes managers hold, and call, one another or the test itself.


def states(own: SystemEnvironment) -> None:
    seen: list[object] = []
    table = TransitionTable(
        "door",
        states=[State("shut", initial=True), State("open", entry=[lambda trigger: seen.append(own)])],
        transitions=[on("push", "shut", "open", guards=[lambda trigger: own is not None]), after(60, "open", "shut")],
    )
    own.state.add("door", table).fire("push")
    own.state.watch(lambda record: seen.append(own))
    own.state.snapshot("door", "here")
    assert seen == [own]
    own.state.rollback("door", 1)


def errors(own: SystemEnvironment) -> None:
    own.errors.sink("mine", lambda record: own.errors.recent())
    own.errors.route("web", "mine")
    stop = stop_after_attempt(2)
    own.errors.policies("web", {OSError: [Retrying(stop=stop, clock=own.clock), RestartComponent(own.components)]})
    own.errors.policies("db", {ValueError: [CircuitBreaker("db", clock=own.clock)]})
    with pytest.raises(OSError, match="no line"), own.errors.guard("web"):
        raise OSError("no line")
    assert [record.kind for record in own.errors.recent("web")] == ["OSError"]


def figures(own: SystemEnvironment) -> None:
    told: list[object] = []
    own.monitoring.alarm(Threshold("queue", above=1.0), lambda *alarm: told.append((alarm, own)))
    own.monitoring.gauge("queue", 2.0)
    own.monitoring.count("orders", component="web")
    own.monitoring.record("latency", 0.1, unit="s")
    own.monitoring.check()
    own.coordinators.monitoring.observe()
    assert len(told) == 1


def threads(own: SystemEnvironment) -> None:
    own.declare_ranks("outer")
    with own.threads.lock("outer"):
        assert own.threads.submit(lambda: own.name).result() == own.name
    assert isinstance(own.threads.submit(int, "x").exception(), ValueError)


def parts(own: SystemEnvironment) -> None:
    own.components.register(ComponentSpec("web"), start=lambda: None, stop=lambda: own.threads.submit(str).result())
    own.components.add_hook(lambda change: own.name and None)
    own.components.start()
    own.cleanup.add(CleanupStep("mine"), lambda: own.state.names())
    own.resources.register("file", owner="web", close=lambda: own.name)
    with own.coordinators.testing.environment("within") as inner:
        inner.cleanup.add(CleanupStep("theirs"), lambda: own.state.names())


def leavings(own: SystemEnvironment) -> None:
    own.resources.lease(10, owner="web")  # dropped
    held = own.resources.lease(10, owner="web")
    own.resources.register("both", owner="web", close=lambda: (held, own))
    own.cleanup.add(CleanupStep("mine"), lambda: int("x"))


USES = [states, errors, figures, threads, parts, leavings]


@pytest.mark.parametrize("use", [None, *USES], ids=lambda use: "nothing" if use is None else use.__name__)
def test_a_hundred_environments_leave_nothing_for_the_collector(
    use: Callable[[SystemEnvironment], None] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, logger="coresys")  # what it hears of, it keeps
    seen: list[weakref.ref[object]] = []

    def one(testing: TestingCoordinator, number: int) -> None:
        own = testing.open(EnvironmentSpec(f"test {number}"))
        assert isinstance(own, SystemEnvironment)
        if use is not None:
            use(own)
        left = testing.close(own.name.removeprefix("tests/")).left
        assert bool(left) is (use is leavings)
        seen.extend(map(weakref.ref, (own, own.state, own.errors, own.monitoring, own.components, own.cleanup)))

    least = [Tier("small", 4096, 4)]
    make = partial(build_environment, tiers=least)
    with build_system("tests", sampling=None, tiers=least, environments=make) as system:
        testing = system.coordinators.testing
        for number in range(3):  # what is made once
            one(testing, number)
        seen.clear()
        gc.collect()
        gc.disable()
        try:
            for number in range(100):
                one(testing, number)
            assert [each() for each in seen] == [None] * 600
            garbage = gc.collect()
        finally:
            gc.enable()
    assert garbage == 0
