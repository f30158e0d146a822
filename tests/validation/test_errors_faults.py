"""Each criterion of errors is over for a manager with a fault, and within for ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from judged_suites import SteppingClock, results

from coresys.errors import Capture, ErrorManager
from coresys.state import StateManager
from coresys.system_records import ErrorRecord
from validation_suites.errors import test_errors, timings
from validation_suites.faults.errors import FAULTS
from validation_suites.state import timings as state_timings

TESTS = {
    "errors.propagation_lost": test_errors.test_no_error_is_lost_on_its_path,
    "errors.recovery_procedures_failed": test_errors.test_procedures_are_run_as_declared,
    "errors.state_handling_wrong": test_errors.test_error_states_are_entered_and_left,
    "errors.context_lost": test_errors.test_context_and_causes_go_across_threads,
    "errors.monitoring_missed": test_errors.test_every_error_is_told_to_monitoring_once,
}


@pytest.mark.parametrize("identity", TESTS)
def test_ours_has_no_fault(identity: str) -> None:
    found = results(TESTS[identity])[identity]
    assert (found.verdict, found.details) == ("within", ())


@pytest.mark.parametrize(
    ("identity", "fault"),
    [pytest.param(name, fault, id=f"{name}-{fault.__name__}") for name, each in FAULTS.items() for fault in each],
)
def test_a_fault_is_counted(identity: str, fault: Callable[..., Any]) -> None:
    found = results(TESTS[identity], {"errors": fault})[identity]
    assert found.verdict == "over"
    assert "raised TypeError" not in str(found.details)  # it was asked, and not just called in the wrong way


def test_a_manager_without_procedures_or_context_is_not_measured() -> None:
    class Plain:
        pass

    procedures = results(TESTS["errors.recovery_procedures_failed"], {"errors": Plain})
    context = results(TESTS["errors.context_lost"], {"errors": Plain})
    assert {result.verdict for result in (*procedures.values(), *context.values())} == {"not_measured"}


# -- times ------------------------------------------------------------------------------------------------------------


def slow(clock: SteppingClock, seconds: float) -> Callable[..., ErrorManager]:
    """A manager that takes so long before it captures an error."""

    class Slow(ErrorManager):
        def __init__(self, clock: Any = None, values: bool = False) -> None:
            super().__init__(clock=clock, capture=Capture())

        def report(self, error: BaseException, **given: Any) -> ErrorRecord:
            spent.spend(seconds)
            return super().report(error, **given)

    spent = clock
    return Slow


@pytest.mark.parametrize(
    ("test", "identity", "limit"),
    [
        (test_errors.test_an_error_is_noticed_at_once, "errors.detection_time", 0.010),
        (test_errors.test_an_error_is_captured_quickly, "errors.capture_time", 0.005),
        (test_errors.test_recovery_begins_soon, "errors.recovery_start_time", 0.020),
    ],
)
def test_what_is_slow_is_over(
    test: Callable[..., object], identity: str, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteppingClock.put_into(monkeypatch, timings)
    monkeypatch.setattr(test_errors, "DEPTHS", (8,))
    for seconds, verdict in ((limit * 1.1, "over"), (limit * 0.8, "within")):
        found = results(test, {"errors": slow(clock, seconds)})[identity]
        assert (found.verdict, found.why) == (verdict, None)


def test_going_back_slowly_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppingClock.put_into(monkeypatch, state_timings)

    def states(seconds: float) -> Callable[..., StateManager]:
        class Slow(StateManager):
            def rollback(self, name: str, steps: int | None = None, **to: Any) -> str:
                clock.spend(seconds)
                return super().rollback(name, steps, **to)

        return Slow

    test = test_errors.test_a_state_is_restored_quickly_from_memory
    verdicts = [results(test, {"state": states(each)})["errors.restore_time"].verdict for each in (0.040, 0.055)]
    assert verdicts == ["within", "over"]
