"""Parts of managers, beyond what their protocols promise: that, tests/conformance asks of managers and parts alike."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from conforming import DOOR
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from interrupting import NOT_TRACED, Hitting
from inturn import in_turn
from storms import no_threads_left, stormy

from coresys.components.manager import ComponentManager
from coresys.coordinators import views
from coresys.coordinators.views import (
    ScopedComponents,
    ScopedMonitoring,
    ScopedResources,
    ScopedStates,
    ScopedThreads,
)
from coresys.errors.hierarchy import (
    DuplicateMachineError,
    DuplicateResourceError,
    StartFailedError,
    StopFailedError,
    TransitionRefusedError,
    UnknownMachineError,
)
from coresys.interfaces import (
    IComponentManager,
    IStateManager,
    IThreadManager,
)
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier
from coresys.state import StateManager
from coresys.system_records import (
    ComponentSpec,
    ErrorRecord,
    TransitionRecord,
)
from coresys.testing.fakes import RecordingMonitoringManager
from coresys.threads import LockHierarchy, ThreadManager, ThreadPool

__all__ = ["no_threads_left", "stormy"]  # fixtures

NAMES = st.sampled_from(["a", "b", "a/b", "b/a", "/a", "part", "inner/a"])


@pytest.mark.parametrize("name", ["", "/", "/a", "a/"])
def test_a_part_has_a_name_without_slashes_at_its_ends(name: str) -> None:
    with pytest.raises(ValueError, match="a part has a name"):
        ScopedStates(StateManager(), name)


# -- monitoring ------------------------------------------------------------------------------------------------------


def test_transitions_and_errors_are_told_under_the_names_of_the_part() -> None:
    whole = RecordingMonitoringManager()
    part = ScopedMonitoring(whole, "part")
    record = TransitionRecord("m", "door", 1, 0.0, "push", "shut", "open")
    part.transition_made(record, seconds=0.1, seconds_in_source=1.0)
    part.error_seen(ErrorRecord(1, 0.0, "OSError", "no", "web", "f", "main"))
    assert [(each.machine, each.table, each.source) for each in whole.transitions] == [("part/m", "part/door", "shut")]
    assert [each.component for each in whole.errors] == ["part/web"]


# -- state -----------------------------------------------------------------------------------------------------------


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


def parted() -> tuple[ResourceManager, ScopedResources]:
    whole = ResourceManager(BufferPools((Tier("small", 4096, 8),), timeout=0.0))
    return whole, ScopedResources(ScopedResources(whole, "part"), "inner")


def test_a_lease_and_a_resource_have_the_callers_place() -> None:
    _, part = parted()
    with part.lease(10, owner="a"):
        line = sys._getframe().f_lineno - 1
        assert str(part.leases("a")[0].where) == f"{__file__}:{line}"
    part.register("f", owner="a", close=lambda: None)
    line = sys._getframe().f_lineno - 1
    with pytest.raises(DuplicateResourceError, match=f"{__file__}:{line}"):
        part.register("f", owner="a", close=lambda: None)


def test_a_lease_of_a_part_is_one_of_its_managers_with_all_that_those_have() -> None:
    whole, part = parted()
    lease = part.lease(10, owner="a")
    assert (lease.record.owner, whole.leases()[0].owner) == ("a", "part/inner/a")
    assert (len(lease), lease.number) == (10, lease.record.number)  # type: ignore[arg-type, attr-defined]
    assert "part/inner/a" in repr(lease)
    with pytest.raises(AttributeError):
        lease.unheard_of  # type: ignore[attr-defined]  # noqa: B018
    if sys.version_info >= (3, 12):
        memoryview(lease)[:2] = b"ok"  # type: ignore[arg-type]
        assert bytes(lease.view[:2]) == b"ok"
    lease.release()
    assert whole.leases() == ()


def test_a_lease_of_a_part_that_nobody_has_any_more_is_found() -> None:
    lost: list[str] = []
    pools = BufferPools((Tier("small", 4096, 8),), timeout=0.0, on_leak=lambda record: lost.append(record.owner))
    lease = ScopedResources(ResourceManager(pools), "part").lease(10, owner="a")
    del lease
    pools.take_back_orphans()
    assert lost == ["part/a"]


def test_two_parts_of_nearly_one_name_never_meet() -> None:
    whole = ResourceManager(BufferPools((Tier("small", 4096, 8),), timeout=0.0))
    first, second = ScopedResources(whole, "a"), ScopedResources(whole, "ab")
    with first.lease(1, owner="b"), second.lease(1, owner=""):
        assert [each.owner for each in first.leases()] == ["b"]
        assert [each.owner for each in second.leases()] == [""]
        assert first.release_owner("") == 0
        assert second.release_owner("b") == 0
        assert len(whole.leases()) == 2


# -- components ------------------------------------------------------------------------------------------------------


class _Only:
    """A manager of somebody's that keeps the protocol, and has nothing else."""

    def __init__(self) -> None:
        inner = ComponentManager()
        self.register, self.restart, self.status = inner.register, inner.restart, inner.status
        self.start, self.stop, self.components = inner.start, inner.stop, inner.components


class _Calls:
    """Components a, b (needs a) and c (needs b) of a part of such a manager; what was called of them."""

    def __init__(self, part: Callable[[IComponentManager], IComponentManager]) -> None:
        self.components, self.made = part(_Only()), list[str]()
        self.fail: dict[str, BaseException] = {}
        for name, needs in (("a", ()), ("b", ("a",)), ("c", ("b",)), ("d", ())):
            self.components.register(
                ComponentSpec(name, needs=needs),
                start=partial(self._call, f"start {name}"),
                stop=partial(self._call, f"stop {name}"),
            )

    def _call(self, what: str) -> None:
        self.made.append(what)
        if what in self.fail:
            raise self.fail.pop(what)


@pytest.fixture(params=["part", "part of a part"])
def calls(request: pytest.FixtureRequest) -> _Calls:
    if request.param == "part":
        return _Calls(lambda whole: ScopedComponents(whole, "part"))
    return _Calls(lambda whole: ScopedComponents(ScopedComponents(whole, "part"), "inner"))


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()], ids=repr)
def test_without_views_what_was_started_is_stopped_again_where_one_fails(calls: _Calls, error: BaseException) -> None:
    calls.components.start("d")
    calls.made.clear()
    calls.fail["start c"] = error
    with pytest.raises(StartFailedError if isinstance(error, OSError) else KeyboardInterrupt):
        calls.components.start()
    assert calls.made == ["start a", "start b", "start c", "stop b", "stop a"]
    standing = {each.name: each.state for each in calls.components.components()}
    assert (standing["a"], standing["b"], standing["d"]) == ("stopped", "stopped", "running")
    assert standing["c"] != "running"


def test_without_views_all_is_stopped_that_can_be_and_all_problems_are_told(calls: _Calls) -> None:
    calls.components.start()
    calls.fail.update({"stop b": OSError("gone"), "stop d": OSError("lost")})
    with pytest.raises(StopFailedError, match=r"d: OSError: lost; .*b: OSError: gone") as caught:
        calls.components.stop()
    assert [str(cause.__cause__ or cause) for cause in caught.value.causes] == ["lost", "gone"]
    assert calls.components.status("a").state == "stopped"
    calls.components.start()
    calls.fail.update({"stop c": KeyboardInterrupt("hit"), "stop d": OSError("lost")})
    with pytest.raises(KeyboardInterrupt, match="hit"):
        calls.components.stop()
    assert "running" not in {each.state for each in calls.components.components()}


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
