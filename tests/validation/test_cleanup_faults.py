"""For each criterion of cleanups, a subject with a planted fault that its measuring function catches; and a clean
one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.criteria.judge import judge
from pytest_coresys.criteria.loading import builtin
from pytest_coresys.criteria.samples import Samples
from validation_suites import ours, promises
from validation_suites.cleanup import measures
from validation_suites.conforming import departures
from validation_suites.faults import cleanup as faulty
from validation_suites.faults import resources as faulty_resources
from validation_suites.faults.wrapping import Clock, Passing, Slow
from validation_suites.memory import _kept, kept_by


def _verdict(identity: str, *values: float) -> str:
    samples = Samples()
    for value in values:
        samples.add(value)
    return judge(builtin().criteria[identity], samples).verdict


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (faulty.StopsAtTheFirst, "step 5 was run 0 times"),
        (faulty.RunsTwice, "step 0 was run 2 times"),
        (faulty.SaysAllIsWell, "that step 4 failed, and of what, is not told"),
        (faulty.SaysAllIsWell, "that step 9 hangs is not told"),
        (faulty.SaysAllIsWell, "it is told to be complete"),
    ],
)
def test_a_cleanup_that_isolates_no_faults_is_caught(subject: Callable[[], Any], words: str) -> None:
    assert any(words in fault for fault in measures.isolation_faults(subject()))


def test_ours_isolates_them() -> None:
    assert measures.isolation_faults(ours.cleanup()) == []


# -- protocols -------------------------------------------------------------------------------------------------------


class _Lacks(Passing):
    """Has all but one method."""

    def __init__(self, inner: Any, name: str) -> None:
        super().__init__(inner)
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            raise AttributeError(name)
        return getattr(self.inner, name)


class _Refuses(Passing):
    """Cannot be called as the protocol calls it."""

    def run(self) -> None:
        """Without a channel."""


class _LetsAnythingPass(Passing):
    """Refuses no event."""

    def fire(self, name: str, event: str, *given: Any, **more: Any) -> Any:
        """Whatever it is."""
        if event == "pull" and self.inner.state(name) == "shut":
            return None
        return self.inner.fire(name, event, *given, **more)


class _KeepsAll(Passing):
    """Takes nothing back."""

    def release_owner(self, owner: str) -> int:
        """Say so, and do nothing."""
        return 2


@pytest.mark.parametrize(
    ("ask", "subject", "words"),
    [
        (promises.of_cleanup, lambda: _Lacks(ours.cleanup(), "run"), "run is missing, of ICleanupManager"),
        (promises.of_cleanup, lambda: _Refuses(ours.cleanup()), "can not be called with (channel, deadline)"),
        (promises.of_cleanup, faulty.InAnyOrder, "two steps were run as ['second', 'first']"),
        (promises.of_cleanup, faulty.SaysAllIsWell, "failed are ()"),
        (promises.of_cleanup, faulty.RunsTwice, "two steps were run as"),
        (promises.of_state, lambda: _Lacks(ours.state(), "rollback"), "rollback is missing"),
        (promises.of_state, lambda: _LetsAnythingPass(ours.state()), "an event that is not declared is not refused"),
        (promises.of_resources, faulty_resources.Unlimited, "a lease beyond the limit is not refused"),
        (promises.of_resources, faulty_resources.ClosesNothing, "what was registered is not closed"),
        (promises.of_resources, lambda: _KeepsAll(ours.resources()), "a second release is not refused"),
    ],
)
def test_a_manager_that_breaks_a_promise_is_caught(
    ask: Callable[[Any], list[str]], subject: Callable[[], Any], words: str
) -> None:
    assert any(words in fault for fault in ask(subject()))


def test_our_managers_and_the_parts_of_our_coordinator_keep_them() -> None:
    with ours.system() as system:
        part = system.coordinators.cleanup
        for cleanup in (ours.cleanup(), part.cleanup):
            assert promises.of_cleanup(cleanup) == []
        for state in (ours.state(), part.state):
            assert promises.of_state(state) == []
        for resources in (ours.resources(), part.resources):
            assert promises.of_resources(resources) == []


def test_a_protocol_that_is_kept_has_no_departures() -> None:
    from coresys import interfaces

    pairs = {
        "state": interfaces.IStateManager,
        "resources": interfaces.IResourceManager,
        "errors": interfaces.IErrorManager,
        "threads": interfaces.IThreadManager,
        "monitoring": interfaces.IMonitoringManager,
        "components": interfaces.IComponentManager,
        "tests": interfaces.ITestManager,
        "cleanup": interfaces.ICleanupManager,
    }
    for role, protocol in pairs.items():
        assert departures(protocol, ours.FACTORIES[role]()) == []
        missing = departures(protocol, object())
        assert len(missing) == sum(callable(each) for name, each in vars(protocol).items() if name[0] != "_")


# -- how long it takes -----------------------------------------------------------------------------------------------


def _slow(inner: Any, clock: Clock, seconds: float) -> Any:
    return Slow(inner, clock, seconds)


def _execution(clock: Clock, seconds: float) -> Callable[[], float]:
    return measures.execution(lambda: _slow(ours.cleanup(), clock, seconds), clock)


def _release(kind: str, clock: Clock, seconds: float) -> Callable[[], float]:
    return measures.release(_slow(ours.resources(), clock, seconds), clock)[kind]


def _transition(clock: Clock, seconds: float) -> Callable[[], float]:
    return measures.transition(_slow(ours.state(), clock, seconds), clock)


TIMED: list[tuple[str, Callable[[Clock, float], Callable[[], float]], float]] = [
    ("cleanup.execution_time", _execution, 2.1),
    ("cleanup.release_time", partial(_release, "buffer"), 0.11),
    ("cleanup.release_time", partial(_release, "other"), 0.11),
    ("cleanup.transition_time", _transition, 0.051),
]


@pytest.mark.parametrize(("identity", "make", "seconds"), TIMED)
def test_a_slow_manager_is_seen(
    identity: str, make: Callable[[Clock, float], Callable[[], float]], seconds: float
) -> None:
    calls = 20 if identity == "cleanup.execution_time" else 100
    for slow, verdict in ((seconds, "over"), (0.0, "within")):
        operation = make(Clock(), slow)
        assert _verdict(identity, *(operation() for _ in range(calls))) == verdict


def test_transitions_are_made_while_others_clean_up() -> None:
    state = ours.state()
    with measures.cleaning_up(ours.cleanup, state):
        operation = measures.transition(state)
        assert all(operation() >= 0 for _ in range(100))
        while not all(state.describe(f"system {number}").sequence for number in range(2)):
            operation()
    assert state.describe("door of a cleanup").sequence >= 100


# -- that it is gone -------------------------------------------------------------------------------------------------


def test_a_system_that_is_kept_is_seen_and_one_that_is_not_is_not(tmp_path: Path) -> None:
    clean = measures.life_of_a_system(tmp_path / "clean")
    leaky = measures.life_of_a_system(tmp_path / "leaky", keep=[])
    assert kept_by(clean, cycles=12, warm=4) == 0
    kept = kept_by(leaky, cycles=9, warm=2)
    assert kept > 10_000
    assert _verdict("cleanup.unreclaimed", kept) == "over"
    assert _verdict("cleanup.unreclaimed", 0) == "within"


def test_what_is_kept_each_time_is_counted_to_the_block() -> None:
    kept: list[bytes] = [b""] * 100_000  # room, so that it does not move
    at = iter(range(len(kept)))

    def keep() -> None:
        kept[next(at)] = bytes(bytearray(16))

    assert 48 <= kept_by(keep) <= 64
    assert kept_by(partial(bytes, 1000)) == 0


@pytest.mark.parametrize(
    ("readings", "kept"),
    [
        ([100 * at for at in range(12)], 100),
        ([0] * 12, 0),
        ([0] * 48 + [900] * 72, 0),  # made once
        ([-288 * (at % 8) for at in range(120)], 0),  # goes to and fro
        ([64 * at - 288 * (at % 8) for at in range(120)], 37),  # the least that it can be
        ([-at for at in range(12)], 0),
    ],
)
def test_a_leak_is_told_from_what_is_made_once_and_from_what_goes_to_and_fro(readings: list[int], kept: int) -> None:
    assert abs(_kept(readings) - kept) <= 0.25 * kept
