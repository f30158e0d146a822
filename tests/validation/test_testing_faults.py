"""For each criterion of tests' environments, a subject with a planted fault that its measuring function catches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coresys.errors.hierarchy import DuplicateEnvironmentError
from pytest_coresys.criteria.judge import judge
from pytest_coresys.criteria.loading import builtin
from pytest_coresys.criteria.samples import Samples
from validation_suites import ours, promises
from validation_suites.faults import testing as faulty
from validation_suites.faults.wrapping import Clock, Passing
from validation_suites.testing import measures


def _verdict(identity: str, *values: float) -> str:
    samples = Samples()
    for value in values:
        samples.add(value)
    return judge(builtin().criteria[identity], samples).verdict


class _OpensTwice(Passing):
    """A name that is taken is opened all the same."""

    def open_environment(self, spec: Any) -> Any:
        """The one that is there."""
        try:
            return self.inner.open_environment(spec)
        except DuplicateEnvironmentError:
            return None


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (faulty.SaysNothingIsLeft, "what was left is told as ()"),
        (lambda: _OpensTwice(ours.tests()), "a second of one name is not refused"),
        (object, "open_environment is missing, of ITestManager"),
    ],
)
def test_a_test_manager_that_breaks_a_promise_is_caught(subject: Callable[[], Any], words: str) -> None:
    assert any(words in fault for fault in promises.of_tests(subject()))


def test_ours_and_the_part_of_our_coordinator_keep_them() -> None:
    with ours.system() as system:
        for tests in (ours.tests(), system.coordinators.testing.tests):
            assert promises.of_tests(tests) == []


class _SlowTests(Passing):
    """One of its calls takes a time, by a clock that nobody has to wait for."""

    def __init__(self, clock: Clock, slow: str, seconds: float) -> None:
        super().__init__(ours.tests())
        self._clock, self._slow, self._seconds = clock, slow, seconds

    def __getattr__(self, name: str) -> Any:
        if name == self._slow:
            self._clock.time += self._seconds
        return getattr(self.inner, name)


@pytest.mark.parametrize(
    ("part", "call", "seconds"),
    [
        ("setup", "open_environment", 1.1),
        ("verification", "verify_environment", 0.11),
        ("cleanup", "close_environment", 0.51),
    ],
)
def test_an_environment_that_is_slow_is_seen(part: measures.Part, call: str, seconds: float) -> None:
    for slow, verdict in ((seconds, "over"), (0.0, "within")):
        clock = Clock()
        tests: Any = _SlowTests(clock, call, slow)
        life = measures.environment_times(tests, part, clock)
        assert _verdict(f"testing.{part}_time", *(life() for _ in range(100))) == verdict
        for other in {"setup", "verification", "cleanup"} - {part}:
            assert measures.environment_times(tests, other, clock)() == 0  # type: ignore[arg-type]


def test_a_life_that_is_said_to_leave_something_is_no_measurement() -> None:
    class Invents(Passing):
        def verify_environment(self, name: str) -> Any:
            from dataclasses import replace

            return replace(self.inner.verify_environment(name), left=("something",))

    tests: Any = Invents(ours.tests())
    with pytest.raises(AssertionError, match="nothing was left"):
        measures.environment_times(tests, "setup")()


def test_what_is_kept_of_each_environment_is_seen() -> None:
    tests: Any = faulty.KeepsALittle()
    kept = measures.environments_keep(tests)
    assert 40 <= kept <= 96
    assert _verdict("testing.isolation_leaks", kept) == "over"


def test_what_a_test_keeps_is_seen_and_an_empty_control_is_not() -> None:
    room: list[bytes] = []
    assert 40 <= measures.environments_keep(ours.tests(), faulty.keeping(room)) <= 96
    assert measures.environments_keep(ours.tests()) == 0
