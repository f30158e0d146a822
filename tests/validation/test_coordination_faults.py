"""Each criterion of coordination is over where a manager or a system has a fault, and within for ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judged_suites import results

from coresys.coordinators.assembly import System
from coresys.coordinators.monitoring import SystemReport
from coresys.system_records import Distribution
from validation_suites import ours
from validation_suites.coordination import measures
from validation_suites.coordination import test_coordination as suite
from validation_suites.faults import coordination as faults
from validation_suites.faults import state as state_faults

# A criterion, its test, and who has a fault of it, by role.
OF_MANAGERS: dict[str, tuple[Callable[..., object], tuple[tuple[str, Callable[..., Any]], ...]]] = {
    "coordination.allocation_patterns": (
        suite.test_the_report_tells_who_asked_for_what,
        (("resources", faults.ForgetsRefusals), ("resources", faults.MixesOwners)),
    ),
    "coordination.cleanup_chains": (
        suite.test_cleanup_chains_run_to_their_end,
        (("cleanup", faults.StopsAtFailure), ("cleanup", faults.ForgetsOrder), ("cleanup", faults.HidesFailures)),
    ),
    "coordination.usage_tracking_error": (
        suite.test_usage_is_tracked_to_the_byte,
        (("resources", faults.CountsWrongly), ("resources", faults.SumsWrongly)),
    ),
    "coordination.transition_management": (
        suite.test_machines_of_several_parts_move_together,
        (("state", state_faults.MovesOneByOne),),
    ),
    "coordination.history_gaps": (
        suite.test_histories_have_no_gaps,
        (("state", faults.loses_an_entry), ("state", state_faults.forgets_after_recovery)),
    ),
    "coordination.validation_rules": (
        suite.test_what_is_declared_wrongly_is_refused,
        (("state", state_faults.TakesAnyTable), ("components", faults.ForgetsNeeds), ("cleanup", faults.ForgetsOrder)),
    ),
    "coordination.recovery_order": (
        suite.test_what_failed_is_restarted_in_order,
        (
            ("components", faults.ForgetsNeeds),
            ("components", faults.RestartsTooOften),
            ("components", faults.LeavesDependents),
            ("components", faults.LeavesTheRest),
        ),
    ),
}
OF_SYSTEMS: dict[str, tuple[Callable[..., object], tuple[Callable[[System], None], ...]]] = {
    "coordination.error_propagation": (
        suite.test_no_error_is_lost_between_coordinators,
        (faults.keeps_steps_quiet, faults.loses_at_the_sink, faults.drops_causes),
    ),
    "coordination.context_preserved": (
        suite.test_context_goes_across_coordinators,
        (faults.leaves_context_behind,),
    ),
    "coordination.error_monitoring": (
        suite.test_errors_of_all_parts_are_monitored,
        (faults.misses_errors, faults.keeps_steps_quiet),
    ),
}


@pytest.fixture
def system() -> Iterator[System]:
    """One of ours."""
    made = ours.system(ranks=["stock"])
    made.errors.sink("log", lambda record: None)
    yield made
    made.shutdown()


@pytest.mark.parametrize("identity", [*OF_MANAGERS, *OF_SYSTEMS, "coordination.metrics_complete"])
def test_ours_have_no_fault(identity: str, system: System, tmp_path: Path) -> None:
    test = {**OF_MANAGERS, **OF_SYSTEMS}.get(identity, (suite.test_every_resource_has_figures,))[0]
    found = results(test, system=system, tmp_path=tmp_path)[identity]
    assert (found.verdict, found.details) == ("within", ())


@pytest.mark.parametrize(
    ("identity", "role", "fault"),
    [
        pytest.param(name, role, fault, id=f"{name}-{fault.__name__}")
        for name, (_, each) in OF_MANAGERS.items()
        for role, fault in each
    ],
)
def test_a_manager_with_a_fault_is_over(identity: str, role: str, fault: Callable[..., Any], tmp_path: Path) -> None:
    found = results(OF_MANAGERS[identity][0], {role: fault}, tmp_path=tmp_path)[identity]
    assert found.verdict == "over"
    assert "raised TypeError" not in str(found.details)  # it was asked, and not just called in the wrong way


@pytest.mark.parametrize(
    ("identity", "fault"),
    [
        pytest.param(name, fault, id=f"{name}-{fault.__name__}")
        for name, (_, each) in OF_SYSTEMS.items()
        for fault in each
    ],
)
def test_a_system_with_a_fault_is_over(identity: str, fault: Callable[[System], None], system: System) -> None:
    fault(system)
    assert results(OF_SYSTEMS[identity][0], system=system)[identity].verdict == "over"


def _without_shares(each: Distribution) -> Distribution:
    return replace(each, quantiles=())


MISSING: dict[str, Callable[[SystemReport], SystemReport]] = {
    "a tier": lambda report: replace(report, pools=report.pools[1:]),
    "a lock": lambda report: replace(report, locks=()),
    "quantiles": lambda report: replace(
        report,
        monitoring=replace(
            report.monitoring, distributions=tuple(map(_without_shares, report.monitoring.distributions))
        ),
    ),
    "gauges": lambda report: replace(report, monitoring=replace(report.monitoring, gauges=())),
    "tasks": lambda report: replace(report, threads=replace(report.threads, completed=0)),
}


@pytest.mark.parametrize("missing", MISSING)
def test_a_report_that_lacks_something_is_found(missing: str, system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    coordinator = system.coordinators.monitoring
    whole = coordinator.report
    monkeypatch.setattr(coordinator, "report", lambda: MISSING[missing](whole()))
    assert (
        results(suite.test_every_resource_has_figures, system=system)["coordination.metrics_complete"].verdict == "over"
    )


def test_dead_guards_that_are_taken_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from coresys.state import table

    assert measures.dead_guards_not_named() == []
    monkeypatch.setattr(table._Compiler, "_of_order", lambda self: iter(()))
    assert len(measures.dead_guards_not_named()) == 2
