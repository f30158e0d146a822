"""Parts of managers: each keeps the promises of its protocol, and two of them never meet."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from interrupting import NOT_TRACED, Hitting
from inturn import in_turn
from storms import no_threads_left, stormy

from coresys.cleanup.manager import CleanupManager
from coresys.components.manager import ComponentManager
from coresys.coordinators import views
from coresys.coordinators.assembly import build_environment
from coresys.coordinators.views import (
    ScopedCleanup,
    ScopedComponents,
    ScopedMonitoring,
    ScopedResources,
    ScopedStates,
    ScopedTests,
    ScopedThreads,
)
from coresys.errors.hierarchy import (
    CleanupOrderError,
    ComponentCycleError,
    DuplicateEnvironmentError,
    DuplicateMachineError,
    DuplicateResourceError,
    LeaseLimitError,
    RollbackError,
    StartFailedError,
    TransitionRefusedError,
    UnknownEnvironmentError,
    UnknownMachineError,
)
from coresys.interfaces import (
    ICleanupManager,
    IComponentManager,
    IMonitoringManager,
    IResourceManager,
    IStateManager,
    ITestManager,
    IThreadManager,
)
from coresys.monitoring.manager import MonitoringManager
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier
from coresys.state import StateManager
from coresys.system_records import (
    CleanupStep,
    ComponentSpec,
    EnvironmentSpec,
    ErrorRecord,
    StateDefinition,
    TransitionRecord,
)
from coresys.testing.manager import TestManager
from coresys.threads import LockHierarchy, ThreadManager, ThreadPool

__all__ = ["no_threads_left", "stormy"]  # fixtures

NAMES = st.sampled_from(["a", "b", "a/b", "b/a", "/a", "part", "inner/a"])
DOOR = StateDefinition(
    "door",
    states=("shut", "open"),
    initial="shut",
    transitions=(("push", "shut", "open"), ("pull", "open", "shut")),
)


@pytest.mark.parametrize("name", ["", "/", "/a", "a/"])
def test_a_part_has_a_name_without_slashes_at_its_ends(name: str) -> None:
    with pytest.raises(ValueError, match="a part has a name"):
        ScopedStates(StateManager(), name)


# -- monitoring ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["manager", "part", "part of a part"])
def monitoring(request: pytest.FixtureRequest) -> IMonitoringManager:
    whole = MonitoringManager()
    whole.count("served", 70, component="partner")  # begins as the part does, and is not in it
    whole.gauge("open", 7, component="other/a")
    if request.param == "manager":
        return MonitoringManager()
    part = ScopedMonitoring(whole, "part")
    return part if request.param == "part" else ScopedMonitoring(part, "inner")


def test_what_is_told_is_in_the_snapshot_of_whom_it_was_told_to(monitoring: IMonitoringManager) -> None:
    monitoring.count("served", 2, component="a")
    monitoring.count("served", component="")
    monitoring.gauge("open", 3, component="a/b")
    monitoring.record("took", 0.5, unit="s", component="a")
    found = monitoring.snapshot()
    assert sorted(found.counters) == [("served", "", 1.0), ("served", "a", 2.0)]
    assert found.gauges == (("open", "a/b", 3.0),)
    assert [(each.name, each.component, each.count) for each in found.distributions] == [("took", "a", 1)]


def test_transitions_and_errors_are_told_under_the_names_of_the_part() -> None:
    whole = MonitoringManager()
    part = ScopedMonitoring(whole, "part")
    record = TransitionRecord("m", "door", 1, 0.0, "push", "shut", "open")
    part.transition_made(record, seconds=0.1, seconds_in_source=1.0)
    part.error_seen(ErrorRecord(1, 0.0, "OSError", "no", "web", "f", "main"))
    counted = {name: component for name, component, _ in whole.snapshot().counters}
    assert "part/web" in str(whole.snapshot().counters), counted


# -- state -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["manager", "part", "part of a part"])
def states(request: pytest.FixtureRequest) -> Iterator[IStateManager]:
    whole = StateManager()
    if request.param == "manager":
        yield whole
        return
    for name in ("a", "partner/a", "other/a"):
        whole.define(name, DOOR)
    part = ScopedStates(whole, "part")
    yield part if request.param == "part" else ScopedStates(part, "inner")
    assert [whole.describe(name).sequence for name in ("a", "partner/a", "other/a")] == [0, 0, 0]


def test_machines_are_made_fired_and_told_by_their_own_names(states: IStateManager) -> None:
    states.define("a", DOOR)
    states.define("a/b", DOOR)
    assert sorted(states.names()) == ["a", "a/b"]
    record = states.fire("a", "push", cause="wind", actor="me")
    assert record is not None
    assert (record.machine, record.sequence, record.target, record.cause, record.actor) == (
        "a",
        1,
        "open",
        "wind",
        "me",
    )
    assert states.describe("a").name == "a"
    assert states.describe("a").last == record
    assert states.history("a") == (record,)
    with pytest.raises(TransitionRefusedError):
        states.fire("a", "push")
    assert states.state("a") == "open"
    with pytest.raises(DuplicateMachineError):
        states.define("a", DOOR)
    assert [each.machine for each in states.fire_all({"a": "pull", "a/b": "push"})] == ["a", "a/b"]
    states.snapshot("a/b", "here")
    states.fire("a/b", "pull")
    assert states.rollback("a/b", to_snapshot="here") == "open"
    with pytest.raises(RollbackError):
        states.rollback("a/b", to_snapshot="nowhere")
    figures = states.statistics()
    assert (figures.machines, figures.transitions, figures.refused) == (2, 5, 1)
    assert figures.in_state == (("door", "open", 1), ("door", "shut", 1))
    states.release("a")
    assert states.names() == ("a/b",)
    with pytest.raises(UnknownMachineError):
        states.state("a")


def test_of_several_transitions_none_is_made_where_one_is_refused(states: IStateManager) -> None:
    states.define("a", DOOR)
    states.define("b", DOOR)
    states.fire("b", "push")
    with pytest.raises(TransitionRefusedError):
        states.fire_all({"a": "push", "b": "push"}, {"a": 1})
    assert (states.state("a"), states.state("b")) == ("shut", "open")


class _PartsOfStates(RuleBasedStateMachine):
    """Two parts of one manager, and the manager itself, beside a dict for each."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = StateManager()
        self.parts: dict[str, IStateManager] = {
            "part": ScopedStates(self.whole, "part"),
            "other": ScopedStates(self.whole, "other"),
            "part/inner": ScopedStates(ScopedStates(self.whole, "part"), "inner"),
        }
        self.model: dict[str, str] = {}

    @rule(part=st.sampled_from(["part", "other", "part/inner"]), name=NAMES)
    def define(self, part: str, name: str) -> None:
        full = f"{part}/{name}"
        if full in self.model:
            with pytest.raises(DuplicateMachineError):
                self.parts[part].define(name, DOOR)
        else:
            self.parts[part].define(name, DOOR)
            self.model[full] = "shut"

    @rule(part=st.sampled_from(["part", "other", "part/inner"]), name=NAMES, event=st.sampled_from(["push", "pull"]))
    def fire(self, part: str, name: str, event: str) -> None:
        full, states = f"{part}/{name}", self.parts[part]
        allowed = {"push": "shut", "pull": "open"}[event]
        if full not in self.model:
            with pytest.raises(UnknownMachineError):
                states.fire(name, event)
        elif self.model[full] != allowed:
            with pytest.raises(TransitionRefusedError):
                states.fire(name, event)
        else:
            record = states.fire(name, event)
            assert record is not None
            assert record.machine == name
            self.model[full] = record.target

    @rule(part=st.sampled_from(["part", "other", "part/inner"]), name=NAMES)
    def release(self, part: str, name: str) -> None:
        if self.model.pop(f"{part}/{name}", None) is None:
            with pytest.raises(UnknownMachineError):
                self.parts[part].release(name)
        else:
            self.parts[part].release(name)

    @invariant()
    def each_part_has_what_begins_with_its_name(self) -> None:
        for part, states in self.parts.items():
            own = {full.removeprefix(f"{part}/"): at for full, at in self.model.items() if full.startswith(f"{part}/")}
            assert {name: states.state(name) for name in states.names()} == own
            assert states.statistics().machines == len(own)


def test_parts_of_states_are_as_so_many_dicts() -> None:
    run_state_machine_as_test(
        _PartsOfStates,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


# -- resources -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["manager", "part", "part of a part"])
def resources(request: pytest.FixtureRequest) -> Iterator[IResourceManager]:
    whole = ResourceManager(BufferPools((Tier("small", 4096, 8), Tier("large", 65536, 4)), timeout=0.0))
    if request.param == "manager":
        yield whole
        return
    lease = whole.lease(1, owner="partner")
    whole.register("f", owner="other/a", close=lambda: None)
    part = ScopedResources(whole, "part")
    yield part if request.param == "part" else ScopedResources(part, "inner")
    assert whole.leases("partner")
    assert whole.usage("other/a").resources == 1
    lease.release()


def test_a_lease_and_a_resource_are_the_owners_and_have_the_callers_place(resources: IResourceManager) -> None:
    lease = resources.lease(10, owner="a")
    line = sys._getframe().f_lineno - 1
    assert [each.owner for each in resources.leases()] == ["a"]
    assert str(lease.record.where) == f"{__file__}:{line}"
    assert str(resources.leases("a")[0].where) == f"{__file__}:{line}"
    resources.register("f", owner="a", close=lambda: None)
    line = sys._getframe().f_lineno - 1
    with pytest.raises(DuplicateResourceError, match=f"{__file__}:{line}"):
        resources.register("f", owner="a", close=lambda: None)
    assert resources.usage("a").owner == "a"
    assert (resources.usage("a").leases, resources.usage("a").resources) == (1, 1)
    assert resources.leases("b") == ()
    assert resources.release_owner("a") == 2
    assert resources.leases() == ()


def test_a_limit_is_looked_at_before_anything_is_taken(resources: IResourceManager) -> None:
    resources.limit("a", lease=4096, reserve=4096)
    with resources.lease(4096, owner="a"):
        with pytest.raises(LeaseLimitError):
            resources.lease(1, owner="a")
        with resources.lease(1, owner="b"):
            assert {each.owner for each in resources.leases()} == {"a", "b"}
    assert resources.usage("a").lease_limit == 4096
    assert sum(each.busy for each in resources.statistics()) <= 1  # the rest's


def test_two_parts_never_meet() -> None:
    whole = ResourceManager(BufferPools((Tier("small", 4096, 8),), timeout=0.0))
    first, second = ScopedResources(whole, "a"), ScopedResources(whole, "ab")
    with first.lease(1, owner="b"), second.lease(1, owner=""):
        assert [each.owner for each in first.leases()] == ["b"]
        assert [each.owner for each in second.leases()] == [""]
        assert first.release_owner("") == 0
        assert second.release_owner("b") == 0
        assert len(whole.leases()) == 2


# -- components ------------------------------------------------------------------------------------------------------


class _Calls:
    def __init__(self, components: IComponentManager) -> None:
        self.components, self.made = components, list[str]()
        self.fail: dict[str, BaseException] = {}

    def add(self, name: str, *needs: str) -> None:
        spec = ComponentSpec(name, needs=needs)
        self.components.register(
            spec, start=lambda: self._call(f"start {name}"), stop=lambda: self._call(f"stop {name}")
        )

    def _call(self, what: str) -> None:
        self.made.append(what)
        if what in self.fail:
            raise self.fail.pop(what)


@pytest.fixture(params=["manager", "part", "part of a part"])
def components(request: pytest.FixtureRequest) -> Iterator[_Calls]:
    whole = ComponentManager()
    if request.param == "manager":
        yield _Calls(whole)
        return
    whole.register(ComponentSpec("a"), start=list, stop=list)
    whole.register(ComponentSpec("partner/b", needs=("a",)), start=list, stop=list)
    whole.start()
    part = ScopedComponents(whole, "part")
    yield _Calls(part if request.param == "part" else ScopedComponents(part, "inner"))
    assert [whole.status(name).state for name in ("a", "partner/b")] == ["running"] * 2


def test_components_start_and_stop_in_the_order_of_their_needs(components: _Calls) -> None:
    components.add("c", "b")
    components.add("b", "a")
    components.add("a")
    components.components.start()
    assert components.made == ["start a", "start b", "start c"]
    assert [(each.name, each.state) for each in components.components.components()] == [
        ("a", "running"),
        ("b", "running"),
        ("c", "running"),
    ]
    assert components.components.status("b").needs == ("a",)
    assert components.components.restart("c", cause="it is Monday")
    components.components.stop("b")
    components.components.start("c")
    components.components.stop()
    assert components.made[5:] == ["stop c", "stop b", "start b", "start c", "stop c", "stop b", "stop a"]
    with pytest.raises(ComponentCycleError):
        components.add("x", "x")


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()], ids=repr)
def test_what_was_started_is_stopped_again_where_one_fails(components: _Calls, error: BaseException) -> None:
    for name in ("a", "b", "c", "d"):
        components.add(name, *({"b": ("a",), "c": ("b",)}.get(name, ())))
    components.components.start("d")
    components.made.clear()
    components.fail["start c"] = error
    with pytest.raises(StartFailedError if isinstance(error, OSError) else KeyboardInterrupt):
        components.components.start()
    assert components.made[-2:] == ["stop b", "stop a"]
    standing = {each.name: each.state for each in components.components.components()}
    assert (standing["a"], standing["b"], standing["d"]) == ("stopped", "stopped", "running")
    assert standing["c"] != "running"


def test_a_part_stops_all_that_it_can(components: _Calls) -> None:
    components.add("a")
    components.add("b")
    components.components.start()
    components.fail["stop b"] = OSError("no")
    with pytest.raises(Exception, match="no"):
        components.components.stop()
    assert components.components.status("a").state == "stopped"


# -- tests -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["manager", "part"])
def tests(request: pytest.FixtureRequest) -> Iterator[ITestManager]:
    whole = TestManager(lambda spec: build_environment(spec, tiers=(Tier("small", 4096, 4),)))
    if request.param == "manager":
        yield whole
        return
    whole.open_environment(EnvironmentSpec("a"))
    yield ScopedTests(whole, "part")
    assert [each.name for each in whole.environments()] == ["a"]
    assert whole.close_environment("a").left == ()


def test_environments_are_opened_verified_and_closed(tests: ITestManager) -> None:
    record = tests.open_environment(EnvironmentSpec("a"))
    assert (record.name, record.open, record.left) == ("a", True, ())
    with pytest.raises(DuplicateEnvironmentError):
        tests.open_environment(EnvironmentSpec("a"))
    lease = tests.environment("a").resources.lease(1, owner="x")
    assert [each.name for each in tests.environments()] == ["a"]
    left = tests.verify_environment("a").left
    assert len(left) == 1
    assert tests.environment("a").resources.leases(), "nothing was taken away"
    closed = tests.close_environment("a")
    assert (closed.name, closed.open, closed.left) == ("a", False, left)
    assert closed.cleanup_seconds is not None
    with pytest.raises(UnknownEnvironmentError):
        tests.environment("a")
    with pytest.raises(UnknownEnvironmentError):
        tests.close_environment("a")
    assert lease.record.requested == 1
    assert tests.environments() == ()


# -- cleanup ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["manager", "part", "part of a part"])
def cleanup(request: pytest.FixtureRequest) -> Iterator[ICleanupManager]:
    whole = CleanupManager()
    if request.param == "manager":
        yield whole
        return
    others: list[str] = []
    whole.add(CleanupStep("a"), lambda: others.append("a"))
    whole.add(CleanupStep("b", channel="partner"), lambda: others.append("b"))
    part = ScopedCleanup(whole, "part")
    yield part if request.param == "part" else ScopedCleanup(part, "inner")
    assert others == []
    assert whole.run().done == ("a", "b")


def test_steps_are_run_in_order_once_with_their_own_names(cleanup: ICleanupManager) -> None:
    made: list[str] = []
    cleanup.add(CleanupStep("b", after=("a",)), lambda: made.append("b"))
    cleanup.add(CleanupStep("a", channel="x"), lambda: made.append("a"))
    cleanup.add(CleanupStep("c", channel="x/y"), lambda: [].pop())
    with pytest.raises(CleanupOrderError):
        cleanup.add(CleanupStep("a"), list)
    report = cleanup.run(channel="x")
    assert (report.done, report.failed) == (("a",), (("c", "IndexError: pop from empty list"),))
    assert cleanup.run().done == ("b",)
    assert cleanup.run().done == ()
    assert made == ["a", "b"]


def test_a_step_of_a_part_that_hangs_costs_its_deadline_and_is_told(cleanup: ICleanupManager) -> None:
    gate = threading.Event()
    cleanup.add(CleanupStep("hangs", deadline=0.01), gate.wait)
    cleanup.add(CleanupStep("ends"), list)
    report = cleanup.run()
    gate.set()
    assert (report.hung, report.done) == (("hangs",), ("ends",))


# -- threads ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def whole() -> Iterator[ThreadManager]:
    manager = ThreadManager(pool=ThreadPool(4, name="views"), hierarchy=LockHierarchy("views", ["outer", "inner"]))
    yield manager
    while GATES:  # of a test that failed
        GATES.pop().set()
    manager.shutdown()


GATES: list[threading.Event] = []


def gate_of(threads: IThreadManager, count: int) -> tuple[threading.Event, list[Any]]:
    """That many tasks that run by now, until the gate is opened."""
    gate, begun = threading.Event(), threading.Barrier(count + 1)
    GATES.append(gate)
    tasks = [threads.submit(in_turn(lambda: begun.wait(10), lambda: gate.wait(30))) for _ in range(count)]
    begun.wait(10)
    return gate, tasks


@pytest.fixture(params=["manager", "part", "part of a part"])
def threads(request: pytest.FixtureRequest, whole: ThreadManager) -> IThreadManager:
    if request.param == "manager":
        return whole
    part = ScopedThreads(whole, "part")
    return part if request.param == "part" else ScopedThreads(part, "inner")


def test_tasks_are_run_and_counted(threads: IThreadManager) -> None:
    assert threads.submit(pow, 2, 5).result() == 32
    with pytest.raises(ZeroDivisionError):
        threads.submit_with(lambda: 1 / 0, priority="system").result()
    gate, held = gate_of(threads, 3)  # one of four is for system tasks
    waiting = threads.submit(pow, 2, 5)
    assert threads.statistics().queued[1] == 1
    assert waiting.cancel()
    gate.set()
    for each in held:
        each.result()
    figures = threads.statistics()
    assert (figures.submitted, figures.completed, figures.failed, figures.cancelled) == (6, 5, 1, 1)
    with pytest.raises(ValueError, match="priority"):
        threads.submit_with(str, priority="urgent")
    assert threads.statistics().submitted == 6


def test_tasks_of_a_channel_run_in_order(threads: IThreadManager) -> None:
    made: list[int] = []
    tasks = [threads.submit_with(lambda n=n: made.append(n), channel="c") for n in range(50)]  # type: ignore[misc]
    for each in tasks:
        each.result()
    assert made == list(range(50))


def test_a_shutdown_refuses_and_waits_for_what_was_taken(threads: IThreadManager) -> None:
    gate, entered = threading.Event(), threading.Event()

    def work() -> str:
        entered.set()
        gate.wait(10)
        return "done"

    future = threads.submit(work)
    entered.wait(10)
    threading.Timer(0.02, gate.set).start()
    threads.shutdown()
    assert future.done()
    assert future.result() == "done"
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(work)
    threads.shutdown()


def test_a_shutdown_cancels_what_has_not_begun(threads: IThreadManager) -> None:
    gate, held = gate_of(threads, 3)
    waiting = [threads.submit(str) for _ in range(5)]
    threads.shutdown(wait=False, cancel_futures=True)
    assert all(each.cancelled() for each in waiting)
    gate.set()
    threads.shutdown()
    assert all(each.result() for each in held)


def test_two_parts_share_channels_by_no_name_and_end_by_themselves(whole: ThreadManager) -> None:
    first, second = ScopedThreads(whole, "a"), ScopedThreads(whole, "b")
    gate, entered = threading.Event(), threading.Event()
    held = first.submit_with(in_turn(entered.set, lambda: gate.wait(10)), channel="c")
    entered.wait(10)
    assert second.submit_with(lambda: "goes on", channel="c").result(10) == "goes on"
    second.shutdown()  # does not wait for the first one's
    assert not held.done()
    gate.set()
    first.shutdown()
    assert whole.submit(str).result() == ""


def test_locks_of_a_part_are_those_that_are_called_so(whole: ThreadManager) -> None:
    locks = [whole.lock("outer", name=name) for name in ("part/a", "partner", "b")]
    assert [lock.name for lock in ScopedThreads(whole, "part").locks()] == ["a"]
    assert len(ScopedThreads(whole, "part").threads()) == len(whole.threads())
    assert len(locks) == 3


class _Stopping:
    """Hands tasks to a manager, and stops where it has done so, before it returns."""

    def __init__(self, inner: IThreadManager) -> None:
        self._inner = inner
        self.accepted, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def submit_with(self, function: Callable[[], Any], *, priority: str = "", channel: str | None = None) -> Any:
        future = self._inner.submit_with(function, priority=priority, channel=channel)
        self.accepted.set()
        self.go_on.wait(10)
        return future


@pytest.mark.parametrize("cancel", [False, True])
def test_a_task_that_is_just_being_submitted_is_waited_for(whole: ThreadManager, cancel: bool) -> None:
    stopping = _Stopping(whole)
    part = ScopedThreads(stopping, "part")
    gate, held = gate_of(whole, 3)  # so that it does not begin
    submitted: list[Any] = []
    submitter = threading.Thread(target=lambda: submitted.append(part.submit(lambda: "done")))
    submitter.start()
    stopping.accepted.wait(10)
    over = threading.Event()
    closer = threading.Thread(target=in_turn(lambda: part.shutdown(cancel_futures=cancel), over.set))
    closer.start()
    assert not over.wait(0.05), "it was accepted, and is not known to be over"
    stopping.go_on.set()
    if not cancel:
        assert not over.wait(0.02), "it waits for a thread"
        gate.set()
    closer.join(10)
    gate.set()
    submitter.join()
    assert over.is_set()
    assert submitted[0].cancelled() == cancel
    assert cancel or submitted[0].result() == "done"
    assert [each.result() for each in held] == [True] * 3


@pytest.mark.parametrize("kind", ["part", "manager"])
def test_a_task_may_shut_down_what_it_runs_on(whole: ThreadManager, kind: str) -> None:
    threads: IThreadManager = ScopedThreads(whole, "part") if kind == "part" else whole
    assert threads.submit(in_turn(threads.shutdown, lambda: "down")).result(10) == "down"


def test_two_tasks_may_shut_their_part_down_at_once(whole: ThreadManager) -> None:
    part = ScopedThreads(whole, "part")
    both = threading.Barrier(2)
    tasks = [part.submit(in_turn(lambda: both.wait(10), part.shutdown)) for _ in range(2)]
    for each in tasks:
        each.result(10)
    part.shutdown()


def test_a_storm_of_tasks_and_a_shutdown_leave_nothing_undone(whole: ThreadManager, stormy: None) -> None:
    part = ScopedThreads(whole, "part")
    began, done, refused = threading.Barrier(4), [0] * 3, [0] * 3
    futures: list[Any] = []

    def submit(n: int) -> None:
        began.wait(10)
        for _ in range(60):
            try:
                futures.append(part.submit(str))
                done[n] += 1
            except RuntimeError:
                refused[n] += 1

    submitters = [threading.Thread(target=submit, args=(n,)) for n in range(3)]
    for each in submitters:
        each.start()
    began.wait(10)
    part.shutdown()
    ended_by_then = [each.done() for each in list(futures)]
    for each in submitters:
        each.join()
    assert sum(done) + sum(refused) == 180
    assert all(each.done() for each in futures), "taken, and not waited for"
    assert all(ended_by_then)
    figures = part.statistics()
    assert (figures.submitted, figures.completed, figures.busy, figures.queued) == (sum(done), sum(done), 0, (0, 0, 0))


@NOT_TRACED
def test_an_interruption_of_submit_leaves_nothing_that_a_shutdown_waits_for(whole: ThreadManager) -> None:
    for at in range(1, 60):
        part = ScopedThreads(whole, "part")
        hitting = Hitting({views.__file__}, at)
        again = hitting.watching(lambda part=part: part.submit(str).result())  # type: ignore[misc]
        closer = threading.Thread(target=part.shutdown, daemon=True)
        closer.start()
        closer.join(5)
        assert not closer.is_alive(), f"a shutdown waits for ever after an interruption in {hitting.where}"
        if not again:
            break
    else:
        pytest.fail("more places than were looked at")
    assert at > 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_in_a_forked_child_a_part_waits_for_nobody_of_its_parents(whole: ThreadManager) -> None:
    part = ScopedThreads(whole, "part")
    gate, entered = threading.Event(), threading.Event()
    future = part.submit(in_turn(entered.set, lambda: gate.wait(10)))
    entered.wait(10)
    child = os.fork()
    if not child:
        try:
            code = 0 if part.submit(pow, 2, 5).result(5) == 32 else 1
            part.shutdown()
            os._exit(code)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gate.set()
    assert future.result()
    part.shutdown()
