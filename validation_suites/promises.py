"""What the protocols promise, asked by using them: for the parts of coordinators, which are managers as others are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from coresys.errors.hierarchy import (
    CleanupOrderError,
    DuplicateEnvironmentError,
    LeaseLimitError,
    LeaseReleasedError,
    TransitionRefusedError,
    UnknownEnvironmentError,
    UnknownMachineError,
)
from coresys.interfaces import Environment, ICleanupManager, IResourceManager, IStateManager, ITestManager
from coresys.system_records import CleanupStep, EnvironmentSpec
from validation_suites.conforming import departures
from validation_suites.resources.measures import whole
from validation_suites.state.measures import DOOR

if TYPE_CHECKING:
    from collections.abc import Callable


def _refuses(what: str, error: type[Exception], call: Callable[[], object]) -> list[str]:
    """A fault where a call is not refused by that error."""
    try:
        call()
    except error:
        return []
    except Exception as other:  # of whatever kind
        return [f"{what}: {type(other).__name__} instead of {error.__name__}"]
    return [f"{what} is not refused"]


def _unless(ok: bool, fault: str) -> list[str]:
    return [] if ok else [fault]


def of_state(state: IStateManager) -> list[str]:
    """Broken promises of IStateManager."""
    if missing := departures(IStateManager, state):
        return missing
    state.define("promised door", DOOR)
    faults = _refuses(
        "an event that is not declared", TransitionRefusedError, lambda: state.fire("promised door", "pull")
    )
    record = state.fire("promised door", "push", actor="me")
    faults += _unless(
        record is not None and (record.sequence, record.source, record.target) == (1, "shut", "open"),
        f"the first transition is told as {record}",
    )
    faults += _unless(state.history("promised door") == (record,), "the history is not what was done")
    faults += _unless("promised door" in state.names(), "a machine is not listed")
    state.release("promised door")
    faults += _refuses("a machine that is held no longer", UnknownMachineError, lambda: state.state("promised door"))
    return faults


def of_resources(resources: IResourceManager) -> list[str]:
    """Broken promises of IResourceManager."""
    if missing := departures(IResourceManager, resources):
        return missing
    closed: list[str] = []
    size = whole(resources, 4096)  # of others' tiers too
    resources.limit("promised", lease=size)
    lease = resources.lease(size, owner="promised", timeout=0.0)
    faults = _unless(len(lease.view) == size, "a buffer is not as long as was asked for")
    faults += _refuses("a lease beyond the limit", LeaseLimitError, lambda: resources.lease(1, owner="promised"))
    resources.register("file", owner="promised", close=lambda: closed.append("file"))
    usage = resources.usage("promised")
    faults += _unless((usage.leased, usage.resources) == (size, 1), f"what an owner holds is told as {usage}")
    faults += _unless(resources.release_owner("promised") == 2, "not all that an owner held was taken back")
    faults += _unless(closed == ["file"], "what was registered is not closed")
    return faults + _refuses("a second release", LeaseReleasedError, lease.release)


def of_cleanup(cleanup: ICleanupManager) -> list[str]:
    """Broken promises of ICleanupManager."""
    if missing := departures(ICleanupManager, cleanup):
        return missing
    order: list[str] = []

    def fails() -> None:
        order.append("first")
        raise OSError("planned")

    cleanup.add(CleanupStep("second", after=("first",), channel="promised"), lambda: order.append("second"))
    cleanup.add(CleanupStep("first", channel="promised"), fails)
    faults = _refuses(
        "a step that comes after itself",
        CleanupOrderError,
        lambda: cleanup.add(CleanupStep("circle", after=("circle",), channel="promised"), bool),
    )
    report = cleanup.run(channel="promised")
    faults += _unless(order == ["first", "second"], f"two steps were run as {order}")
    faults += _unless([name for name, _ in report.failed] == ["first"], f"failed are {report.failed}")
    faults += _unless(report.done == ("second",), f"done are {report.done}")
    cleanup.run(channel="promised")
    faults += _unless(len(order) == 2, "a second run does something")
    return faults + _channels_of(cleanup)


def _channels_of(cleanup: ICleanupManager) -> list[str]:
    """A channel has those within it with it, and what its steps come after, and nothing else."""
    order: list[str] = []
    for name, channel, after in (
        ("own", "promised", ("used",)),
        ("inner", "promised/inner", ()),
        ("used", "another", ()),
        ("apart", "promised apart", ()),
    ):
        step = CleanupStep(f"step {name}", channel=channel, after=tuple(f"step {each}" for each in after))
        cleanup.add(step, partial(order.append, name))
    cleanup.run(channel="promised")
    faults = _unless(sorted(order) == ["inner", "own", "used"], f"a channel has been cleaned up by {order}")
    if {"used", "own"} <= {*order}:
        faults += _unless(order.index("used") < order.index("own"), f"a channel was cleaned up in this order: {order}")
    cleanup.run(channel="promised apart")
    return faults + _unless("apart" in order and len(order) == 4, f"two channels have been cleaned up by {order}")


def of_tests(tests: ITestManager) -> list[str]:
    """Broken promises of ITestManager."""
    if missing := departures(ITestManager, tests):
        return missing
    spec = EnvironmentSpec("promised", timeout=60.0)
    tests.open_environment(spec)
    faults = _refuses("a second of one name", DuplicateEnvironmentError, lambda: tests.open_environment(spec))
    own = tests.environment("promised")
    faults += _shared(tests, own)
    lease = own.resources.lease(10, owner="left")
    faults += _unless(len(tests.verify_environment("promised").left) == 1, "what is left now is not told")
    faults += _unless(len(lease.view) == 10, "to look at what is left takes it away")
    record = tests.close_environment("promised")
    faults += _unless(len(record.left) == 1 and "left" in record.left[0], f"what was left is told as {record.left}")
    faults += _unless(not any(each.name == "promised" for each in tests.environments()), "it is open still")
    faults += _refuses("a task of one that is closed", RuntimeError, lambda: own.threads.submit(bool))
    return faults + _refuses("one that is closed", UnknownEnvironmentError, lambda: tests.environment("promised"))


def _shared(tests: ITestManager, own: Environment) -> list[str]:
    """What another environment has of one that is open."""
    tests.open_environment(EnvironmentSpec("promised beside", timeout=60.0))
    other = tests.environment("promised beside")
    own.state.define("own door", DOOR)
    own.threads.submit(bool).result(60.0)
    faults = _unless("own door" not in other.state.names(), "two environments share their machines")
    faults += _unless(other.threads.statistics().submitted == 0, "two environments share their threads")
    tests.close_environment("promised beside")
    return faults
