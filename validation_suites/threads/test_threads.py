"""The criteria ``threads.*`` that are counted."""

from __future__ import annotations

import time

import pytest

from coresys.coordinators.assembly import System
from coresys.interfaces import IThreadManager
from coresys.threads import AtomicCounter, Guarded
from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites import ours
from validation_suites.asking import count
from validation_suites.conftest import Effort, Subject
from validation_suites.faults import threads as faults
from validation_suites.keeping import Kept
from validation_suites.locks.measures import inversion_faults, unranked
from validation_suites.running import PATIENCE, CannotBeNamed
from validation_suites.state.measures import DOOR
from validation_suites.threads import locking, measures
from validation_suites.threads.racing import UNBOUNDED
from validation_suites.threads.recording import catches, of_locks, told

storms = pytest.mark.coresys_no_repeat(reason="a storm is seconds of what is repeated already")
planted = pytest.mark.coresys_skip("locks.*", reason="locks are taken in wrong orders, and in circles, on purpose")


@planted
@storms
@pytest.mark.coresys_criterion("threads.order_violations_missed")
def test_locks_out_of_order_are_refused(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.order_violations_missed"):
        identity = "threads.order_violations_missed"
        manager = of_locks(subject, coresys_criteria, locking.RANKS, identity)
        if manager is not None:
            count(coresys_criteria, identity, lambda: locking.order_faults(manager))


@planted
@storms
@pytest.mark.coresys_criterion("threads.deadlocks")
def test_a_storm_of_locks_goes_on_and_circles_are_named(
    subject: Subject, effort: Effort, kept: Kept, coresys_criteria: CriteriaRecorder
) -> None:
    with told(coresys_criteria, "threads.deadlocks"):
        identity = "threads.deadlocks"
        manager = of_locks(subject, coresys_criteria, locking.RANKS, identity)
        if manager is None:
            return
        came = locking.Storm()

        def storm(before: float, seconds: float) -> locking.Storm:
            return locking.storm(manager, seconds, seed=int(before))

        def faults_of_storm() -> list[str]:
            kept.in_pieces(came, "storm", effort.storm_seconds, effort.storm_each, storm)
            return [*came.still, *came.missed]

        count(coresys_criteria, identity, faults_of_storm)
        note = f"{came.taken} locks taken, {came.refused} wrong orders refused{kept.remark('s')}"
        coresys_criteria.note(identity, note)
        for size in (2, 3, 4):
            count(coresys_criteria, identity, lambda size=size: locking.circle(unranked, size).faults)  # type: ignore[misc]
        count(coresys_criteria, identity, inversion_faults)


@planted
@storms
@pytest.mark.coresys_criterion("threads.locks_left_held")
def test_a_shutdown_leaves_no_lock_held_and_nobody_waiting(
    subject: Subject, coresys_criteria: CriteriaRecorder
) -> None:
    with told(coresys_criteria, "threads.locks_left_held"):
        identity = "threads.locks_left_held"
        manager = of_locks(subject, coresys_criteria, locking.RANKS, identity)
        if manager is not None:
            count(coresys_criteria, identity, lambda: measures.locks_left_held(manager, locking.RANKS))


@storms
@pytest.mark.coresys_criterion("threads.pool_max")
def test_a_pool_has_no_more_threads_than_it_may(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.pool_max"):
        most, problems = measures.most_workers(subject("threads"))
        # Tasks that wait for one another for ever want a thread more than there are, however many there are.
        coresys_criteria.record("threads.pool_max", UNBOUNDED if problems else most, "; ".join(problems[:3]))


@storms
@pytest.mark.coresys_criterion("threads.priority_inversions")
def test_tasks_start_by_their_priority(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.priority_inversions"):
        identity = "threads.priority_inversions"
        if not subject.takes("threads", "workers"):
            why = "the subject's factory takes no workers: with one the order of starts is known"
            coresys_criteria.unmeasured(identity, why)
            return
        manager = subject("threads", workers=1)
        count(coresys_criteria, identity, lambda: measures.priority_faults(manager))
        for level, waited in zip(measures.LEVELS, manager.statistics().waits, strict=False):
            coresys_criteria.note(identity, f"longest wait of {level}: {waited * 1e3:.1f} ms")


@storms
@pytest.mark.coresys_criterion("threads.affinity_violations")
def test_tasks_of_a_channel_run_in_order(subject: Subject, effort: Effort, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.affinity_violations"):
        tasks = 100_000 if effort.soak else 20_000
        manager = subject("threads")
        count(coresys_criteria, "threads.affinity_violations", lambda: measures.channel_faults(manager, tasks))


@storms
@pytest.mark.coresys_criterion("threads.stack_size")
def test_the_stack_of_a_worker_is_small_and_safe(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.stack_size"):
        identity = "threads.stack_size"
        size = measures.worker_stack(subject("threads"))
        if size is None:
            coresys_criteria.unmeasured(identity, "this system does not tell the size of a thread's stack")
            return
        try:
            problems = measures.deep_recursion_faults(subject.factory("threads"))
        except CannotBeNamed as why_not:
            coresys_criteria.unmeasured(identity, str(why_not))
            return
        # However small: one that ends the process is not safe, and safe is what its size is judged for.
        coresys_criteria.record(identity, UNBOUNDED * 1024 if problems else size, "; ".join(problems))


@storms
@pytest.mark.coresys_criterion("threads.atomicity_faults")
def test_what_is_atomic_is_so_in_a_storm(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.atomicity_faults"):
        identity = "threads.atomicity_faults"
        count(coresys_criteria, identity, lambda: measures.counter_faults(AtomicCounter))
        manager, resources = subject("threads"), subject("resources")
        count(coresys_criteria, identity, lambda: measures.task_total_faults(manager))
        count(coresys_criteria, identity, lambda: measures.slot_faults(resources))
        if subject.takes("threads", "ranks"):
            locks = subject("threads", ranks=locking.RANKS)
            count(coresys_criteria, identity, lambda: measures.lock_total_faults(locks.lock(locking.RANKS[0])))


@storms
@pytest.mark.coresys_criterion("threads.protection_faults")
def test_guarded_data_is_had_with_its_lock_only(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.protection_faults"):
        identity = "threads.protection_faults"
        if not __debug__:
            coresys_criteria.unmeasured(identity, "Python is optimised (-O): guarded data is not checked then")
            return
        manager = of_locks(subject, coresys_criteria, locking.RANKS, identity)
        if manager is None:
            return
        count(coresys_criteria, identity, lambda: measures.protection_faults(Guarded, manager.lock(locking.RANKS[0])))
        if hasattr(manager, "read_write_lock"):
            both = manager.read_write_lock(locking.RANKS[0])
            count(coresys_criteria, identity, lambda: locking.read_write_faults(both))


@storms
@pytest.mark.coresys_criterion("threads.state_inconsistencies")
def test_threads_that_move_one_machine_leave_a_whole_history(
    subject: Subject, effort: Effort, coresys_criteria: CriteriaRecorder
) -> None:
    with told(coresys_criteria, "threads.state_inconsistencies"):
        manager, turns = subject("state"), 125_000 if effort.soak else 2_000
        count(coresys_criteria, "threads.state_inconsistencies", lambda: measures.state_faults(manager, turns=turns))


@storms
@pytest.mark.coresys_criterion("threads.cleanup_leftovers")
def test_a_shutdown_under_load_leaves_nothing(
    subject: Subject, tmp_path_factory: pytest.TempPathFactory, coresys_criteria: CriteriaRecorder
) -> None:
    with told(coresys_criteria, "threads.cleanup_leftovers"):
        identity = "threads.cleanup_leftovers"
        make = subject.factory("threads")
        count(coresys_criteria, identity, lambda: measures.leftovers(make, _loaded))
        count(coresys_criteria, identity, lambda: measures.cancelled_faults(subject("threads")))
        folder = tmp_path_factory.mktemp("store")
        count(
            coresys_criteria,
            identity,
            lambda: measures.leftovers(lambda: ours.system(folder, sampling=10.0).__enter__(), _loaded_system),
        )


def _loaded(manager: IThreadManager) -> None:
    for _ in range(200):
        manager.submit(time.sleep, 0.001)


def _loaded_system(system: System) -> None:
    system.state.define("door", DOOR)
    system.state.fire("door", "push")
    _loaded(system.threads)
    for _ in range(10):
        system.threads.submit(system.resources.lease, 4096, owner="load")


@planted
@storms
@pytest.mark.coresys_criterion("validation.hierarchy")
def test_a_lock_without_an_order_is_caught(coresys_criteria: CriteriaRecorder) -> None:
    catches(
        coresys_criteria,
        "validation.hierarchy",
        locking.order_faults,
        sound=faults.sound_locks,
        faulty=(faults.locks_without_an_order, faults.locks_that_refuse_neighbours),
    )
    for make in (faults.locks_without_an_order, faults.sound_locks):
        came = locking.storm(make(), 0.3, patience=1.0 if make is faults.locks_without_an_order else PATIENCE)
        right = bool(came.missed) == (make is faults.locks_without_an_order)
        coresys_criteria.check("validation.hierarchy", right, f"a storm of {make.__name__}: {came.missed[:3]}")


@storms
@pytest.mark.coresys_criterion("validation.safety")
def test_a_lost_update_is_caught(coresys_criteria: CriteriaRecorder) -> None:
    catches(
        coresys_criteria,
        "validation.safety",
        measures.counter_faults,
        sound=lambda: AtomicCounter,
        faulty=(faults.counter_in_two_steps, faults.counter_that_forgets),
    )
    catches(
        coresys_criteria,
        "validation.safety",
        measures.lock_total_faults,
        sound=lambda: faults.sound_locks().lock(locking.RANKS[0]),
        faulty=(faults.LockForTwo,),
    )


@storms
@pytest.mark.coresys_criterion("validation.isolation")
def test_a_buffer_that_two_have_is_caught(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    catches(
        coresys_criteria,
        "validation.isolation",
        measures.slot_faults,
        sound=ours.resources,
        faulty=(faults.BuffersForTwo, faults.BuffersWithBytesOfOthers),
    )
