"""The criteria ``locks.*``, and that of coordinators' locks."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import coresys
from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites import ours
from validation_suites.asking import count
from validation_suites.conftest import Effort, Subject
from validation_suites.keeping import Kept
from validation_suites.locks import measures
from validation_suites.running import in_words
from validation_suites.threads import locking, times
from validation_suites.threads.racing import NEVER
from validation_suites.threads.recording import of_locks, told

RANKS = locking.RANKS[:3]
COORDINATORS = Path(coresys.__file__).parent / "coordinators"


@pytest.mark.coresys_skip("locks.*", reason="locks are taken in wrong orders on purpose")
@pytest.mark.coresys_no_repeat(reason="a storm is seconds of what is repeated already")
@pytest.mark.coresys_criterion("locks.hierarchy_enforced", "monitoring.lock_hierarchy")
def test_the_order_of_locks_holds_across_coordinators(
    effort: Effort, kept: Kept, coresys_criteria: CriteriaRecorder
) -> None:
    came = measures.SystemStorm()

    def storm(before: float, seconds: float) -> measures.SystemStorm:
        with ours.system(ranks=RANKS, sampling=10.0) as system:
            return measures.system_storm(system, RANKS, seconds, seed=int(before))

    def faults() -> list[str]:
        kept.in_pieces(came, "storm", effort.storm_seconds, effort.storm_each, storm)
        return came.faults

    found = count(coresys_criteria, "locks.hierarchy_enforced", faults)
    note = f"{came.rounds} rounds, {came.refused} wrong orders refused{kept.remark('s')}"
    coresys_criteria.note("locks.hierarchy_enforced", note)
    count(coresys_criteria, "monitoring.lock_hierarchy", lambda: found)
    files = sorted(COORDINATORS.glob("*.py"))
    count(coresys_criteria, "monitoring.lock_hierarchy", lambda: measures.raw_locks(files))


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("locks.critical_section_time")
def test_locks_of_our_own_are_held_for_moments(coresys_criteria: CriteriaRecorder) -> None:
    identity = "locks.critical_section_time"
    limit = coresys_criteria.criterion(identity).limit
    try:
        found = measures.critical_sections()
    except Exception as error:
        coresys_criteria.unmeasured(identity, f"the storm did not end well: {in_words(error)}")
        return
    raw = next((each.p99 for each in found if each.where == "raw"), None)
    if raw is None or raw > limit / 2:
        took = "was never held" if raw is None else f"is held for {raw * 1e6:.0f} us"
        coresys_criteria.unmeasured(identity, f"machine too busy: a raw lock, with nothing under it, {took}")
        return
    longest = measures.worst(found)
    for seconds in longest.seconds:
        coresys_criteria.record(identity, seconds)
    for each in sorted(found, key=lambda each: -each.p99)[:8]:
        told = f"{each.where}: p99 {each.p99 * 1e6:.1f} us, held {each.count} times"
        coresys_criteria.note(identity, told if each.where != "raw" else f"{told}: one with nothing under it")


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("locks.deadlock_detection_time")
def test_a_deadlock_is_told_soon(coresys_criteria: CriteriaRecorder) -> None:
    identity, turns, held = "locks.deadlock_detection_time", [0], threading.Lock()
    wrong: list[str] = []

    def a_circle() -> float:
        turns[0] += 1
        came = locking.circle(measures.unranked, 2 + turns[0] % 2)
        wrong.extend(came.faults)
        return came.seconds

    def a_raw_lock_that_is_waited_for_as_long() -> None:
        held.acquire(timeout=0.04)

    held.acquire()
    coresys_criteria.timed(identity, a_circle, beside=a_raw_lock_that_is_waited_for_as_long, calls=24, rounds=2)
    for fault in wrong[:3]:
        coresys_criteria.record(identity, NEVER, fault)


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("locks.monitoring_overhead")
def test_a_lock_with_figures_costs_little(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "locks.monitoring_overhead"):
        identity = "locks.monitoring_overhead"
        manager = of_locks(subject, coresys_criteria, RANKS, identity)
        if manager is not None:
            coresys_criteria.record(identity, times.overhead(manager.lock(RANKS[0])))
