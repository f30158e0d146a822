"""Each criterion of monitoring can be broken: monitoring with one fault is found out by what measures it."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faultcases import Case, Table, above, over, raising

from coresys import MonitoringManager, interfaces
from coresys.coordinators.monitoring import MonitoringCoordinator
from validation_suites import ours
from validation_suites.components import conformance, imports
from validation_suites.faults import components as component_faults
from validation_suites.faults import locks as lock_faults
from validation_suites.faults import monitoring as faults
from validation_suites.locks import measures as lock_measures
from validation_suites.monitoring import measures
from validation_suites.threads import times


def share() -> list[str]:
    sampler = faults.BusySampler()
    try:
        for _ in range(20):  # it gets what others leave it
            seen = times.cpu_shares([[], [sampler.thread]], lambda: times.no_load(0.3))[1]
            if found := above("monitoring.cpu_share", seen):
                return found
    finally:
        sampler.stop.set()
        sampler.thread.join()
    return []


def contended() -> list[str]:
    manager = faults.ContendedMonitoring()
    found = times.contention(lambda number: manager.count("turns"), rounds=1)
    return above("monitoring.contention", found.most - found.reference)


def injected_by_name(tmp_path: Path) -> list[str]:
    return imports.concrete_imports_of_coordinators(
        {"coresys.coordinators.nosy": "def make():\n    from coresys.monitoring.manager import MonitoringManager\n"}
    )


def raw_lock(tmp_path: Path) -> list[str]:
    path = tmp_path / "coordinator.py"
    path.write_text(lock_faults.RAW_LOCKS, encoding="utf-8")
    return lock_measures.raw_locks([path])


def usage(make: Any) -> list[str]:
    with ours.system(sampling=20.0) as system:
        return measures.usage_faults(system, make(system.coordinators.monitoring.report), patience=0.3)


def operations(planted: Any) -> list[str]:
    with ours.system() as system:
        return measures.operations_untold(planted["planted"](system), transitions=50, starts=5)


TABLE = Table(
    faulty={
        "monitoring.interfaces": {
            "other words": lambda: conformance.signature_faults(
                component_faults.WithOtherWords(), interfaces.IComponentManager
            ),
            "nothing of it": lambda: conformance.signature_faults(object(), interfaces.IMonitoringManager),
        },
        "monitoring.injection": {
            "it makes its own": lambda: measures.injection_faults(faults.SelfMadeCoordinator),
            "it asks for more": lambda: measures.injection_faults(faults.CuriousCoordinator),
            "it names one": lambda: injected_by_name(Path()),
        },
        "monitoring.lock_hierarchy": {
            "an outer lock is taken inside": lambda: _storm(lock_faults.system_that_locks_outwards(("outer", "inner"))),
        },
        "monitoring.response_time": {
            "it reads a file": lambda: over("monitoring.response_time", faults.SlowMonitoring().snapshot),
        },
        "monitoring.cpu_share": {"it never rests": share},
        "monitoring.contention": {"one lock for all": contended},
        "validation.response_times": {
            "one value in ten is lost": lambda: measures.distribution_faults(faults.monitoring_that_forgets()),
            "no maximum": lambda: measures.distribution_faults(faults.monitoring_without_a_maximum()),
            "a low p99": lambda: measures.distribution_faults(faults.monitoring_with_a_low_p99()),
            "a dear clock": lambda: operations(faults.system_with_a_slow_clock()),
            "an operation that is not told": lambda: operations(faults.system_that_tells_nothing_of_starts()),
        },
        "validation.resource_usage": {
            f"report {number}": partial(usage, make) for number, make in enumerate(faults.REPORTS)
        },
    },
    sound={
        "monitoring.interfaces": lambda: conformance.signature_faults(
            MonitoringManager(), interfaces.IMonitoringManager
        ),
        "monitoring.injection": lambda: measures.injection_faults(MonitoringCoordinator),
        "monitoring.injection, names": imports.concrete_imports_of_coordinators,
        "validation.response_times": lambda: measures.distribution_faults(MonitoringManager()),
    },
)


def _storm(system: Any) -> list[str]:
    with system as entered:
        return lock_measures.system_storm(entered, ("outer", "inner"), 0.5).faults


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLE.rows()])
def test_monitoring_with_a_fault_is_found_out(case: Case) -> None:
    assert raising(case)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLE.sound.items()])
def test_sound_monitoring_is_not_found_at_fault(case: Case) -> None:
    assert list(case()) == []


def test_there_is_a_fault_for_each_criterion_of_monitoring() -> None:
    # That of growth is measured, and broken, where all growth is.
    assert TABLE.lacks("monitoring.") in ([], ["monitoring.growth_rate"])


def test_a_raw_lock_in_a_coordinator_is_found(tmp_path: Path) -> None:
    assert len(raw_lock(tmp_path)) == 3


def test_a_yardstick_takes_as_long_as_what_it_stands_for() -> None:
    def operation() -> None:
        began = time.thread_time()
        while time.thread_time() - began < 0.002:
            pass

    yardstick = measures.as_long_as(operation)
    seconds = sorted(_processor_time(yardstick) for _ in range(9))[4]
    assert 0.0005 < seconds < 0.01


def _processor_time(call: Any) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began
