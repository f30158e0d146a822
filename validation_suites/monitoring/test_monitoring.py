"""The criteria ``monitoring.*``, but for growth and locks, which are measured beside others of their kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coresys.coordinators.monitoring import MonitoringCoordinator
from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites import ours
from validation_suites.asking import faults_of
from validation_suites.components import imports
from validation_suites.conftest import Subject
from validation_suites.faults import monitoring as faults
from validation_suites.monitoring import measures
from validation_suites.threads import times
from validation_suites.threads.recording import catches, record_contention, told


@pytest.mark.coresys_no_repeat(reason="what is imported is the same each time")
@pytest.mark.coresys_criterion("monitoring.injection")
def test_the_coordinator_is_built_of_whatever_it_is_given(coresys_criteria: CriteriaRecorder) -> None:
    identity = "monitoring.injection"
    found = faults_of(measures.injection_faults, MonitoringCoordinator)
    coresys_criteria.check(identity, not found, "; ".join(found))
    named = imports.concrete_imports_of_coordinators()
    coresys_criteria.check(identity, not named, "; ".join(named))


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("monitoring.response_time")
def test_monitoring_answers_soon(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "monitoring.response_time"):
        identity, manager = "monitoring.response_time", subject("monitoring")
        coordinator = MonitoringCoordinator(
            monitoring=manager, threads=subject("threads"), resources=subject("resources")
        )

        def record() -> None:
            manager.record("suite.answer", 0.001, unit="seconds", component="web")

        with measures.Busy(manager):
            for operation in (manager.snapshot, coordinator.report, record):
                yardstick = measures.as_long_as(operation)

                def a_loop_of_as_much_processor_time(yardstick: Callable[[], None] = yardstick) -> None:
                    yardstick()

                coresys_criteria.timed(
                    identity, operation, beside=a_loop_of_as_much_processor_time, calls=120, rounds=2
                )


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("monitoring.contention")
def test_who_tells_monitoring_waits_for_nobody(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "monitoring.contention"):
        manager = subject("monitoring")

        def work(number: int) -> None:
            manager.count("suite.turns", component="web")
            manager.record("suite.delay", 0.001, unit="seconds", component="web")
            manager.gauge("suite.depth", number)
            times.think(20)

        record_contention(coresys_criteria, "monitoring.contention", work)


@pytest.mark.coresys_no_repeat(reason="what is told is told for good")
@pytest.mark.coresys_criterion("validation.response_times")
def test_figures_of_operations_that_are_wrong_are_caught(coresys_criteria: CriteriaRecorder) -> None:
    identity = "validation.response_times"
    catches(
        coresys_criteria,
        identity,
        measures.distribution_faults,
        sound=ours.monitoring,
        faulty=(
            faults.monitoring_that_forgets,
            faults.monitoring_without_a_maximum,
            faults.monitoring_with_a_low_p99,
        ),
    )

    def operations(options: dict[str, Any]) -> list[str]:
        with ours.system(**options.get("system", {})) as system:
            return measures.operations_untold(options.get("planted", _as_it_is)(system))

    catches(
        coresys_criteria,
        identity,
        operations,
        sound=dict,
        faulty=(faults.system_with_a_slow_clock, faults.system_that_tells_nothing_of_starts),
    )


def _as_it_is(system: Any) -> Any:
    return system


@pytest.mark.coresys_no_repeat(reason="it takes and gives back, and waits for a sampler to see it")
@pytest.mark.coresys_criterion("validation.resource_usage")
def test_usage_that_is_not_told_is_caught(coresys_criteria: CriteriaRecorder) -> None:
    with ours.system(sampling=20.0) as system:
        report = system.coordinators.monitoring.report
        catches(
            coresys_criteria,
            "validation.resource_usage",
            lambda told: measures.usage_faults(system, told, 15.0 if told is report else 0.3),
            sound=lambda: report,
            faulty=[lambda make=make: make(report) for make in faults.REPORTS],  # type: ignore[misc]
        )
