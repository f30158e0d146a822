"""The criteria ``coordination.*``: of coordinators over the subject's managers, and of whole systems of ours.

``coordination.recovery_procedures`` is measured with the kills of ``state``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from coresys.coordinators.monitoring import MonitoringCoordinator
from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites import ours
from validation_suites.asking import judging, record_faults
from validation_suites.conftest import Subject
from validation_suites.coordination import measures
from validation_suites.state.child import reopen
from validation_suites.state.measures import FLIP

if TYPE_CHECKING:
    from coresys.coordinators.assembly import System


@pytest.fixture
def system() -> Iterator[System]:
    """A whole system of ours, whose errors without a route are dropped: they are meant."""
    made = ours.system(ranks=["stock"])
    made.errors.sink("log", lambda record: None)
    yield made
    made.shutdown()


@pytest.mark.coresys_criterion("coordination.allocation_patterns")
def test_the_report_tells_who_asked_for_what(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.allocation_patterns"):
        resources = subject("resources")
        coordinator = MonitoringCoordinator(
            monitoring=subject("monitoring"), threads=subject("threads"), resources=resources
        )
        untold = measures.missing_patterns(coordinator, resources)
        record_faults(coresys_criteria, "coordination.allocation_patterns", untold.faults)
        if untold.why:
            coresys_criteria.unmeasured("coordination.allocation_patterns", untold.why)


@pytest.mark.coresys_no_repeat(reason="a thousand chains")
@pytest.mark.coresys_criterion("coordination.cleanup_chains")
def test_cleanup_chains_run_to_their_end(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.cleanup_chains"):
        faults = measures.broken_chains(lambda: subject("cleanup"), subject("state"), subject("resources"))
        record_faults(coresys_criteria, "coordination.cleanup_chains", faults)


@pytest.mark.coresys_criterion("coordination.usage_tracking_error")
def test_usage_is_tracked_to_the_byte(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.usage_tracking_error"):
        resources, monitoring = subject("resources"), subject("monitoring")
        coordinator = MonitoringCoordinator(monitoring=monitoring, threads=subject("threads"), resources=resources)
        look = (lambda: measures.gauges_of(coordinator, monitoring)) if subject.is_ours("monitoring") else None
        ways = measures.WAYS[:1] if subject.is_ours("resources") else measures.WAYS  # ours says: whole buffers
        error, where = measures.usage_error(resources, look, ways=ways)
        coresys_criteria.record("coordination.usage_tracking_error", error, where)


@pytest.mark.coresys_criterion("coordination.metrics_complete")
def test_every_resource_has_figures(system: System, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.metrics_complete"):
        used = measures.exercise(system)
        report = system.coordinators.monitoring.report()
        del used
        tiers = [each.tier for each in system.resources.statistics()]
        faults = measures.missing_metrics(report, tiers, ["book"], [FLIP.name])
        record_faults(coresys_criteria, "coordination.metrics_complete", faults)


@pytest.mark.coresys_criterion("coordination.transition_management")
def test_machines_of_several_parts_move_together(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.transition_management"):
        record_faults(coresys_criteria, "coordination.transition_management", measures.half_moved(subject("state")))


@pytest.mark.coresys_no_repeat(reason="thousands of transitions on disk")
@pytest.mark.coresys_criterion("coordination.history_gaps")
def test_histories_have_no_gaps(subject: Subject, coresys_criteria: CriteriaRecorder, tmp_path: Path) -> None:
    if not subject.takes("state", "path"):
        coresys_criteria.unmeasured("coordination.history_gaps", "no store")
        return
    with judging(coresys_criteria, "coordination.history_gaps"):
        bound = {"kept": 10_000}
        options = {"path": str(tmp_path), **bound}
        factory = subject.factory("state")
        faults = measures.history_gaps(
            subject("state", **bound), lambda: reopen(factory, options), keeps_all=subject.takes("state", "kept")
        )
        record_faults(coresys_criteria, "coordination.history_gaps", faults)


@pytest.mark.coresys_criterion("coordination.validation_rules")
def test_what_is_declared_wrongly_is_refused(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.validation_rules"):
        faults = measures.rules_not_checked(subject("state"))
        faults += measures.circles_not_refused(subject("components"), subject("cleanup"))
        if subject.is_ours("state"):
            faults += measures.dead_guards_not_named()
        record_faults(coresys_criteria, "coordination.validation_rules", faults)


@pytest.mark.coresys_criterion("coordination.error_propagation")
def test_no_error_is_lost_between_coordinators(system: System, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.error_propagation"):
        record_faults(coresys_criteria, "coordination.error_propagation", measures.errors_lost(system))


@pytest.mark.coresys_no_repeat(reason="sixty systems of components")
@pytest.mark.coresys_criterion("coordination.recovery_order")
def test_what_failed_is_restarted_in_order(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.recovery_order"):
        faults = measures.wrong_order(lambda: subject("components"), lambda: subject("state"), subject("resources"))
        record_faults(coresys_criteria, "coordination.recovery_order", faults)


@pytest.mark.coresys_criterion("coordination.context_preserved")
def test_context_goes_across_coordinators(system: System, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.context_preserved"):
        record_faults(coresys_criteria, "coordination.context_preserved", measures.context_lost(system))


@pytest.mark.coresys_criterion("coordination.error_monitoring")
def test_errors_of_all_parts_are_monitored(system: System, coresys_criteria: CriteriaRecorder) -> None:
    with judging(coresys_criteria, "coordination.error_monitoring"):
        record_faults(coresys_criteria, "coordination.error_monitoring", measures.errors_not_monitored(system))
