"""The criteria ``errors.*``."""

from __future__ import annotations

import pytest

from coresys.testing.fakes import FakeClock
from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites.asking import judging, record_faults
from validation_suites.conftest import Subject
from validation_suites.errors import measures, timings
from validation_suites.running import as_long_as
from validation_suites.state.measures import FLIP, takes_tables
from validation_suites.state.timings import look_up_in_a_dictionary, restoring
from validation_suites.tally import Tally, counted

DEPTHS = (8, 33, 500)  # frames of an error


@pytest.mark.coresys_criterion("errors.propagation_lost")
def test_no_error_is_lost_on_its_path(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "errors.propagation_lost"):
        faults = measures.leaves_lost(subject("errors"), subject("cleanup"))
        record_faults(coresys_criteria, "errors.propagation_lost", faults)


@pytest.mark.coresys_criterion("errors.recovery_procedures_failed")
def test_procedures_are_run_as_declared(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "errors.recovery_procedures_failed"):
        clock = FakeClock()
        manager = subject("errors", clock=clock)
        if not (callable(getattr(manager, "policies", None)) and callable(getattr(manager, "recovering", None))):
            coresys_criteria.unmeasured("errors.recovery_procedures_failed", "it has no policies() and recovering()")
            return
        faults = measures.wrong_recoveries(manager, clock)
        record_faults(coresys_criteria, "errors.recovery_procedures_failed", faults)


@pytest.mark.coresys_criterion("errors.state_handling_wrong")
def test_error_states_are_entered_and_left(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "errors.state_handling_wrong"):
        states = subject("state")
        if not takes_tables(states):
            why = "its states have no add() for tables that call back"
            coresys_criteria.unmeasured("errors.state_handling_wrong", why)
            return
        faults = measures.wrong_error_states(subject("errors"), states)
        record_faults(coresys_criteria, "errors.state_handling_wrong", faults)


@pytest.mark.coresys_criterion("errors.context_lost")
def test_context_and_causes_go_across_threads(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    if not subject.takes("errors", "context"):
        coresys_criteria.unmeasured("errors.context_lost", "its factory takes no context variables to keep")
        return
    with judging(coresys_criteria, "errors.context_lost"):
        manager = subject("errors", context=(measures.REQUEST.name,))
        faults = measures.context_lost(manager, subject("threads"))
        for values in (False, True):
            faults += measures.pinned(subject("errors", context=(measures.REQUEST.name,), values=values))
        record_faults(coresys_criteria, "errors.context_lost", faults)


@pytest.mark.coresys_no_repeat(reason="two thousand errors by threads")
@pytest.mark.coresys_criterion("errors.monitoring_missed")
def test_every_error_is_told_to_monitoring_once(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    if not subject.takes("errors", "monitoring"):
        coresys_criteria.unmeasured("errors.monitoring_missed", "its factory takes no monitoring")
        return
    with judging(coresys_criteria, "errors.monitoring_missed"):
        monitoring = subject("monitoring")
        tally = Tally(monitoring)
        faults = measures.untold_errors(subject("errors", monitoring=tally), tally)
        known = any(name == "errors.seen" for name, _, _ in monitoring.snapshot().counters)
        if known or subject.is_ours("monitoring"):
            count = counted(monitoring.snapshot(), "errors.seen")
            if count != len(tally.errors):
                faults.append(f"{len(tally.errors)} errors were told to monitoring, which counted {count:g}")
        record_faults(coresys_criteria, "errors.monitoring_missed", faults)


# -- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("errors.detection_time")
def test_an_error_is_noticed_at_once(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "errors.detection_time"):
        clock = timings.FineClock()
        fine = subject.takes("errors", "clock")
        operation = timings.detection(subject("errors", clock=clock), clock.time if fine else None)
        coresys_criteria.timed("errors.detection_time", operation, beside=timings.raise_and_catch)
        with timings.busy_thread():
            coresys_criteria.timed("errors.detection_time", operation, beside=timings.raise_and_catch)
        coresys_criteria.note("errors.detection_time", "first idle, then beside a thread that computes")


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("errors.capture_time")
def test_an_error_is_captured_quickly(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "errors.capture_time"):
        for values in (False, True) if subject.takes("errors", "values") else (False,):
            for depth in DEPTHS:
                operation, beside = timings.capture(subject("errors", values=values), depth)
                coresys_criteria.timed("errors.capture_time", operation, beside=as_long_as(operation, beside), rounds=3)
                words = f"the line above: {depth} frames, {'with' if values else 'without'} local variables"
                coresys_criteria.note("errors.capture_time", words)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("errors.recovery_start_time")
def test_recovery_begins_soon(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "errors.recovery_start_time"):
        inline = timings.recovery_inline(subject("errors"))
        coresys_criteria.timed("errors.recovery_start_time", inline, beside=timings.raise_and_catch)
        by_worker = timings.recovery_by_a_worker(subject("errors"), subject("threads"))
        with timings.raw_hand_over() as beside:
            coresys_criteria.timed("errors.recovery_start_time", by_worker, beside=beside)
        coresys_criteria.note("errors.recovery_start_time", "first inline, then handed to a worker")
        with timings.busy_thread():
            seconds = sorted(by_worker() for _ in range(100))
        coresys_criteria.note(
            "errors.recovery_start_time",
            f"by a worker, beside a thread that computes: p50 {seconds[50] * 1e3:.2f}, p99 {seconds[98] * 1e3:.2f} ms",
        )


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("errors.restore_time")
def test_a_state_is_restored_quickly_from_memory(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "errors.restore_time"):
        manager = subject("state")
        manager.define("m", FLIP)
        manager.fire("m", "go")
        restore = restoring(manager, "m")
        coresys_criteria.timed("errors.restore_time", restore, beside=as_long_as(restore, look_up_in_a_dictionary))
        coresys_criteria.note("errors.restore_time", "the line above: from memory")
