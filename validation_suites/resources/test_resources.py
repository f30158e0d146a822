"""The criteria ``resources.*``, but for growth, which ``soak`` has; and those of validation that are about
resources."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites import ours
from validation_suites.asking import answer_of, faults_of, record_faults, time_it, told
from validation_suites.conftest import Effort, Subject
from validation_suites.memory import fragmentation_added_by, heap_of
from validation_suites.resources import measures, patterns, releasing
from validation_suites.resources.alarms import alarms_missed_or_false, crossed_on_purpose

_STORM = pytest.mark.coresys_no_repeat(reason="thousands of leases from many threads: once is enough")
_COUNTS = {"small": measures.SMALL, "medium": measures.MEDIUM, "large": measures.LARGE}


@pytest.mark.coresys_criterion(
    "resources.pool_small_count", "resources.pool_medium_count", "resources.pool_large_count"
)
def test_each_tier_has_as_many_buffers_as_it_says(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    taken = measures.resident_at_creation(subject.factory("resources"))
    for tier, size in _COUNTS.items():
        found, problem = answer_of(measures.sound_buffers, subject("resources"), size)
        count, faults = found or (0, [problem])
        identity = f"resources.pool_{tier}_count"
        coresys_criteria.record(identity, count, told(faults))
        coresys_criteria.note(identity, f"a new manager takes {taken / 1024:.0f} KB of resident memory")


# -- memory ------------------------------------------------------------------------------------------------------------


@_STORM
@pytest.mark.coresys_criterion("resources.heap_fragmentation")
def test_owners_that_come_and_go_strand_no_memory(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    manager = subject("resources")
    added, problem = answer_of(fragmentation_added_by, partial(patterns.heap_load, manager))
    if added is None:
        coresys_criteria.unmeasured("resources.heap_fragmentation", problem)
    else:
        coresys_criteria.record("resources.heap_fragmentation", added)


@pytest.mark.coresys_criterion("resources.component_memory")
def test_no_manager_holds_much_of_the_heap(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    for role in ours.FACTORIES:
        held, problem = answer_of(heap_of, subject.factory(role))
        if held is None:
            coresys_criteria.unmeasured("resources.component_memory", f"{role}: {problem}")
        else:
            coresys_criteria.record("resources.component_memory", held, f"{role}, idle: {held / 1024:.1f} KB")
    together, problem = answer_of(heap_of, lambda: [subject.factory(role)() for role in ours.FACTORIES])
    if together is None:
        coresys_criteria.unmeasured("resources.component_memory", problem)
    else:
        coresys_criteria.record("resources.component_memory", together, f"all together, idle: {together / 1024:.1f} KB")


@pytest.mark.coresys_criterion("resources.threshold_alarms_missed")
def test_thresholds_of_memory_call_once_and_only_when_crossed(
    subject: Subject, coresys_criteria: CriteriaRecorder
) -> None:
    monitoring = subject("monitoring")
    if not hasattr(monitoring, "alarm"):  # the protocol has no thresholds: then they are ours that are asked
        monitoring = ours.monitoring()
    faults = faults_of(alarms_missed_or_false, monitoring)
    with ours.system() as system:
        faults += faults_of(crossed_on_purpose, system)
    record_faults(coresys_criteria, "resources.threshold_alarms_missed", faults)


@_STORM
@pytest.mark.coresys_criterion("resources.pool_fragmentation")
def test_no_buffer_is_free_and_of_no_use(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    identity = "resources.pool_fragmentation"
    for pattern in patterns.ORDINARY:
        found, problem = answer_of(patterns.run_pattern, subject("resources"), pattern)
        if found is None:
            coresys_criteria.unmeasured(identity, problem)
        else:
            coresys_criteria.record(identity, found.external, patterns.in_words(pattern, found))
    # All that is asked for is of two sizes, and more than there is: what then lies free says how tiers were cut, and is
    # shown, not judged.
    found, problem = answer_of(patterns.run_pattern, subject("resources"), "adversarial")
    coresys_criteria.note(
        identity, problem if found is None else f"not judged: {patterns.in_words('adversarial', found)}"
    )


# -- boundaries --------------------------------------------------------------------------------------------------------


@_STORM
@pytest.mark.coresys_criterion("resources.channel_violations")
def test_no_channel_gets_too_much_or_bytes_of_another(
    subject: Subject, coresys_criteria: CriteriaRecorder, effort: Effort
) -> None:
    rounds = 200_000 if effort.soak else 1500
    faults = faults_of(measures.channel_faults, subject("resources"), rounds=rounds)
    record_faults(coresys_criteria, "resources.channel_violations", faults)


@_STORM
@pytest.mark.coresys_criterion("resources.component_isolation_violations")
def test_a_component_gets_its_reserve_whatever_others_hold(
    subject: Subject, coresys_criteria: CriteriaRecorder, effort: Effort
) -> None:
    faults = faults_of(measures.reserve_refusals, subject("resources"), rounds=5000 if effort.soak else 100)
    record_faults(coresys_criteria, "resources.component_isolation_violations", faults)


@pytest.mark.coresys_no_repeat(reason="it opens a dozen environments")
@pytest.mark.coresys_criterion("resources.test_isolation_leaks")
def test_environments_share_nothing(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    faults = faults_of(releasing.markers_found, subject("tests"))
    record_faults(coresys_criteria, "resources.test_isolation_leaks", faults)


# -- the end of things -------------------------------------------------------------------------------------------------


@_STORM
@pytest.mark.coresys_criterion("resources.cleanup_order_violations")
def test_a_cleanup_goes_by_what_needs_what(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    faults = faults_of(releasing.order_violations, partial(subject, "cleanup"))
    faults += faults_of(releasing.closed_out_of_order, subject("resources"))
    record_faults(coresys_criteria, "resources.cleanup_order_violations", faults)


@pytest.mark.coresys_no_repeat(reason="steps of it hang")
@pytest.mark.coresys_criterion("resources.cross_channel_cleanup_missed")
def test_a_cleanup_covers_all_channels(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    faults = faults_of(releasing.channels_left_open, subject("cleanup"), subject("resources"))
    record_faults(coresys_criteria, "resources.cross_channel_cleanup_missed", faults)


@pytest.mark.coresys_criterion("resources.unreclaimed")
def test_what_was_taken_back_is_gone_and_what_was_left_is_told(
    subject: Subject, coresys_criteria: CriteriaRecorder
) -> None:
    faults = faults_of(releasing.unreclaimed, subject("resources"))
    faults += faults_of(releasing.left_by_a_failure, subject("resources"))
    faults += faults_of(releasing.unreported, subject("tests"))
    record_faults(coresys_criteria, "resources.unreclaimed", faults)


# -- how long it takes -------------------------------------------------------------------------------------------------


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("resources.allocation_time")
def test_a_lease_is_quick(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    identity = "resources.allocation_time"
    manager = subject("resources")
    touches, problem = answer_of(measures.first_touches, manager)
    note = (
        problem
        if touches is None
        else f"first touch of 1 MB, median: {sorted(touches)[len(touches) // 2] * 1e6:.0f} us"
    )
    coresys_criteria.note(identity, note)
    for size in measures.COUNTS:

        def a_bytearray(size: int = size) -> bytearray:
            return bytearray(size)

        time_it(coresys_criteria, identity, partial(measures.allocation, manager, size), a_bytearray, 1000)
    with measures.others_at_work(manager):
        time_it(coresys_criteria, identity, partial(measures.allocation, manager, measures.SMALL), _among_threads, 2000)


def _among_threads() -> bytearray:
    return bytearray(measures.SMALL)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("resources.cleanup_time")
def test_a_release_is_quick(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    manager = subject("resources")
    held: list[bytearray] = []

    def a_bytearray_let_go() -> None:
        held.append(bytearray(measures.SMALL))
        held.clear()

    for make in (measures.release_of_one, measures.release_of_all):
        time_it(coresys_criteria, "resources.cleanup_time", partial(make, manager), a_bytearray_let_go, 500)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("resources.operation_time")
def test_operations_on_resources_are_quick(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    manager, raw = subject("resources"), {"a": bytearray(measures.MEDIUM)}

    def a_dict_and_a_copy() -> None:
        raw["a"][: measures.SMALL] = bytes(raw["a"][: measures.SMALL])

    with measures.others_at_work(manager):
        for kind in ("resize", "transfer", "query", "release"):

            def operation(kind: str = kind) -> Callable[[], float]:
                return measures.operations(manager)[kind]

            time_it(coresys_criteria, "resources.operation_time", operation, a_dict_and_a_copy, 2500)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("resources.system_cleanup_time")
def test_a_whole_system_is_taken_down_quickly(coresys_criteria: CriteriaRecorder, tmp_path: Path) -> None:
    turn = [0]

    def system() -> Any:
        folder = tmp_path / str(turn[0])
        folder.mkdir()
        return ours.system(store=folder)

    def a_shutdown() -> float:
        turn[0] += 1
        return releasing.shutdown_seconds(system, trouble=turn[0] % 2 == 0)

    def a_mapping_of_16_mb() -> None:
        with mmap.mmap(-1, 16 * measures.MIB) as mapping:
            mapping[:: mmap.PAGESIZE] = bytes(len(mapping) // mmap.PAGESIZE)

    coresys_criteria.timed("resources.system_cleanup_time", a_shutdown, beside=a_mapping_of_16_mb, calls=20, rounds=3)
