"""Subjects that are not ours are judged: each criterion has a verdict, and no test of a suite fails by what they do.

Rows that a race decides (a count that no lock guards) are judged too, and may be within for once: they are not
compared here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from judged_suites import results

from validation_suites.cleanup import test_cleanup as of_cleanup
from validation_suites.coordination import test_coordination as of_coordination
from validation_suites.errors import test_errors as of_errors
from validation_suites.foreign import bytearrays, counters, executors, logs, stacks, transitions_state
from validation_suites.resources import test_planted as of_planted
from validation_suites.resources import test_resources as of_resources
from validation_suites.state import test_state as of_state
from validation_suites.threads import test_threads as of_threads

Test = Callable[..., object]
_TRANSITIONS = find_spec("transitions") is not None

SUBJECTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "machines": ("state", transitions_state.make),
    "executor": ("threads", executors.make),
    "bytearrays": ("resources", bytearrays.make),
    "logs": ("errors", logs.make),
    "stack": ("cleanup", stacks.make),
    "dictionaries": ("monitoring", counters.make),
}

# Subject, test of a suite, verdict of each criterion that it records; None: a race decides.
ROWS: list[tuple[str, Test, dict[str, str | None]]] = [
    ("machines", of_state.test_every_machine_is_listed_once, {"state.centralised": "within"}),
    (
        "machines",
        of_state.test_what_a_table_does_not_declare_is_refused,
        {"state.invalid_transitions_accepted": "within"},
    ),
    (
        "machines",
        of_state.test_a_transition_that_fails_leaves_all_as_it_was,
        {"state.rollback_incomplete": "over"},
    ),
    ("machines", of_state.test_every_transition_is_told_to_monitoring_once, {"state.monitoring_missed": None}),
    (
        "machines",
        of_state.test_what_was_acknowledged_survives_a_kill,
        {"state.acknowledged_lost": "not_measured", "coordination.recovery_procedures": "not_measured"},
    ),
    (
        "machines",
        of_threads.test_threads_that_move_one_machine_leave_a_whole_history,
        {"threads.state_inconsistencies": None},
    ),
    (
        "machines",
        of_coordination.test_machines_of_several_parts_move_together,
        {"coordination.transition_management": "over"},
    ),
    ("machines", of_coordination.test_what_is_declared_wrongly_is_refused, {"coordination.validation_rules": "over"}),
    ("machines", of_coordination.test_histories_have_no_gaps, {"coordination.history_gaps": "not_measured"}),
    ("executor", of_threads.test_tasks_start_by_their_priority, {"threads.priority_inversions": "over"}),
    ("executor", of_threads.test_what_is_atomic_is_so_in_a_storm, {"threads.atomicity_faults": "over"}),
    ("executor", of_threads.test_locks_out_of_order_are_refused, {"threads.order_violations_missed": "not_measured"}),
    (
        "bytearrays",
        of_resources.test_no_channel_gets_too_much_or_bytes_of_another,
        {"resources.channel_violations": "over"},
    ),
    (
        "bytearrays",
        of_resources.test_a_component_gets_its_reserve_whatever_others_hold,
        {"resources.component_isolation_violations": "over"},
    ),
    ("bytearrays", of_planted.test_cleanup_is_verified, {"validation.cleanup": "within"}),
    ("bytearrays", of_resources.test_a_cleanup_goes_by_what_needs_what, {"resources.cleanup_order_violations": "over"}),
    (
        "bytearrays",
        of_resources.test_what_was_taken_back_is_gone_and_what_was_left_is_told,
        {"resources.unreclaimed": "over"},
    ),
    ("bytearrays", of_coordination.test_usage_is_tracked_to_the_byte, {"coordination.usage_tracking_error": None}),
    (
        "bytearrays",
        of_coordination.test_the_report_tells_who_asked_for_what,
        {"coordination.allocation_patterns": "not_measured"},
    ),
    ("logs", of_errors.test_no_error_is_lost_on_its_path, {"errors.propagation_lost": "over"}),
    ("logs", of_errors.test_procedures_are_run_as_declared, {"errors.recovery_procedures_failed": "not_measured"}),
    ("logs", of_errors.test_context_and_causes_go_across_threads, {"errors.context_lost": "not_measured"}),
    ("logs", of_errors.test_every_error_is_told_to_monitoring_once, {"errors.monitoring_missed": "over"}),
    ("logs", of_errors.test_error_states_are_entered_and_left, {"errors.state_handling_wrong": "within"}),
    ("stack", of_cleanup.test_the_subjects_of_cleanup_keep_what_the_protocols_promise, {"cleanup.interfaces": "over"}),
    ("stack", of_resources.test_a_cleanup_goes_by_what_needs_what, {"resources.cleanup_order_violations": "over"}),
    ("dictionaries", of_state.test_every_transition_is_told_to_monitoring_once, {"state.monitoring_missed": None}),
    ("dictionaries", of_errors.test_every_error_is_told_to_monitoring_once, {"errors.monitoring_missed": None}),
    ("executor", of_threads.test_tasks_of_a_channel_run_in_order, {"threads.affinity_violations": "over"}),
    ("executor", of_threads.test_the_stack_of_a_worker_is_small_and_safe, {"threads.stack_size": "over"}),
    (
        "bytearrays",
        of_resources.test_each_tier_has_as_many_buffers_as_it_says,
        {
            "resources.pool_small_count": "within",
            "resources.pool_medium_count": "within",
            "resources.pool_large_count": "within",
        },
    ),
    ("bytearrays", of_resources.test_no_buffer_is_free_and_of_no_use, {"resources.pool_fragmentation": "within"}),
    ("bytearrays", of_planted.test_the_efficiency_of_use_is_reported, {"validation.efficiency": "over"}),
    ("bytearrays", of_planted.test_limits_are_enforced, {"validation.limits": "within"}),
]

SLOW: list[tuple[str, Test, dict[str, str | None]]] = [
    ("executor", of_threads.test_a_pool_has_no_more_threads_than_it_may, {"threads.pool_max": "over"}),
    ("stack", of_cleanup.test_a_step_that_fails_or_hangs_keeps_no_other, {"cleanup.isolation_faults": "over"}),
    ("stack", of_resources.test_a_cleanup_covers_all_channels, {"resources.cross_channel_cleanup_missed": "over"}),
]


def _named(row: Any) -> str | None:
    return row if isinstance(row, str) else getattr(row, "__name__", None)


def judged(name: str, test: Test, tmp_path: Path, factory: pytest.TempPathFactory) -> dict[str, str]:
    """Verdicts by criterion."""
    if name == "machines" and not _TRANSITIONS:
        pytest.skip("transitions is not installed (extra bench)")
    role, make = SUBJECTS[name]
    found = results(test, {role: make}, tmp_path=tmp_path, tmp_path_factory=factory)
    return {identity: result.verdict for identity, result in found.items()}


def agree(found: dict[str, str], wanted: dict[str, str | None]) -> bool:
    """Whether each criterion has the verdict that is expected of it, or any where a race decides."""
    return found.keys() == wanted.keys() and all(wanted[name] in (None, verdict) for name, verdict in found.items())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "test", "wanted"), ROWS, ids=_named)
def test_a_foreign_subject_is_judged(
    name: str, test: Test, wanted: dict[str, str | None], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = judged(name, test, tmp_path, tmp_path_factory)
    assert agree(found, wanted), found


@pytest.mark.long
@pytest.mark.parametrize(("name", "test", "wanted"), SLOW, ids=_named)
def test_a_foreign_subject_is_judged_where_that_takes_long(
    name: str, test: Test, wanted: dict[str, str | None], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = judged(name, test, tmp_path, tmp_path_factory)
    assert agree(found, wanted), found


def test_what_a_foreign_subject_has_none_of_is_told_with_the_reason(tmp_path: Path) -> None:
    found = results(of_errors.test_procedures_are_run_as_declared, {"errors": logs.make})
    assert found["errors.recovery_procedures_failed"].why == "it has no policies() and recovering()"


@pytest.mark.slow
def test_a_run_names_its_subject_and_its_red_rows_and_no_test_fails(tmp_path: Path) -> None:
    import validation_suites

    suite = Path(validation_suites.__file__).parent / "errors"
    target = tmp_path / "run.json"
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(tmp_path / "pytest.ini")]
    command += ["-m", "not coresys_alone", "--coresys-budget", "--coresys-repeat", "0", "--coresys-json", str(target)]
    command += ["--coresys-subject", "errors=validation_suites.foreign.logs:make", str(suite)]

    subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)

    facts = json.loads(target.read_text(encoding="utf-8"))
    verdicts = {each["id"]: each["verdict"] for each in facts["criteria"]}
    assert {each["outcome"] for each in facts["tests"]} == {"passed"}
    assert verdicts["errors.propagation_lost"] == verdicts["errors.monitoring_missed"] == "over"
    assert verdicts["errors.state_handling_wrong"] == "within"
