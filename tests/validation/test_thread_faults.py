"""Each criterion of threads can be broken: a manager with one fault is found out by what measures it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from faultcases import Case, Table, above, over, raising

from coresys import ResourceManager, StateManager
from coresys.threads import AtomicCounter, Guarded, OrderedLock
from validation_suites import ours
from validation_suites.faults import monitoring as monitoring_faults
from validation_suites.faults import threads as faults
from validation_suites.faults.faulty import Faulty
from validation_suites.locks.measures import unranked
from validation_suites.running import Runner
from validation_suites.threads import locking, measures, times
from validation_suites.threads.racing import Holding

RANK = locking.RANKS[0]
SOON = 1.0  # seconds, for what a fault keeps from ever coming


def storm(manager: Any, patience: float = SOON) -> list[str]:
    came = locking.storm(manager, 0.4, patience=patience)
    return [*came.still, *came.missed, *([f"two at once, {came.twice} times"] if came.twice else [])]


def of_pool(manager: Any, tasks: int = 60, pairs: int = 60) -> list[str]:
    most, problems = measures.most_workers(manager, tasks, pairs, patience=SOON)
    return [*problems, *above("threads.pool_max", most)]


def of_stack(factory: Any) -> list[str]:
    manager = factory()
    size = measures.worker_stack(manager)
    manager.shutdown()
    assert size is not None, "glibc tells it"
    return [*above("threads.stack_size", size), *measures.deep_recursion_faults(factory)]


def of_load(manager: Any) -> None:
    for _ in range(20):
        manager.submit(time.sleep, 0.001)


def of_slots(resources: Any) -> list[str]:
    return measures.slot_faults(resources)


def of_states(states: Any, turns: int) -> list[str]:
    return measures.state_faults(states, turns=turns)


def leaving_a_descriptor() -> list[str]:
    import os

    made: list[Any] = []

    def build() -> Any:
        made.append(faults.threads_that_leave_a_descriptor())
        return made[0]

    try:
        return measures.leftovers(build, of_load, patience=0.3)
    finally:
        for each in made[0].left:
            os.close(each)


def bursts(operation: Any) -> list[str]:
    manager = ours.threads(workers=4)
    try:
        return over("threads.resource_allocation_time", times.Bursts(manager, operation, 3))
    finally:
        manager.shutdown()


def hand_off(lock: Any) -> list[str]:
    passing = locking.HandOff(lock)
    try:
        return over("threads.lock_time", passing)
    finally:
        passing.end()


def shares() -> list[str]:
    busy = monitoring_faults.BusySampler()
    try:
        for _ in range(20):  # it gets what others leave it
            share, _ = times.cpu_shares([[busy.thread], []], lambda: times.no_load(0.3))
            if found := above("threads.cpu_share", share):
                return found
    finally:
        busy.stop.set()
        busy.thread.join()
    return []


def contended(pause: float, every: float = 0.0) -> list[str]:
    """Threads that keep a lock while they sleep, once in so many seconds."""
    lock, slept = OrderedLock(name="contended"), [0.0]

    def work(number: int) -> None:
        with lock:
            if pause and time.monotonic() >= slept[0] + every:
                time.sleep(pause)
                slept[0] = time.monotonic()
        times.think()

    found = times.contention(work, rounds=3, seconds=0.3)
    # Beside others' load it may not be known for certain: then it is no clean bill either.
    return above("threads.contention", found.most - found.reference)


def errors_of(manager: Any) -> list[str]:
    try:
        readings = times.thread_readings(manager, cpu=0.1, switches=50)
    finally:
        manager.shutdown()
    return above("threads.monitoring_error", max(each.error for each in readings))


def one_worker(manager: Any) -> list[str]:
    try:
        return measures.priority_faults(manager)
    finally:
        manager.shutdown()


def ended(manager: Any, measure: Any) -> list[str]:
    try:
        return list(measure(manager))
    finally:
        manager.shutdown()


def late(lock: Any) -> list[str]:
    return over("threads.timeout_lateness", lambda: locking.lateness(lock))


TABLE = Table(
    faulty={
        "threads.order_violations_missed": {
            "no order": lambda: locking.order_faults(faults.locks_without_an_order()),
            "two ranks exchanged": lambda: locking.order_faults(faults.locks_that_refuse_neighbours()),
        },
        "threads.deadlocks": {
            "a release left out": lambda: storm(faults.locks_that_are_not_let_go()),
            "no order": lambda: storm(faults.locks_without_an_order()),
            "two at once": lambda: storm(faults.LocksOf(lambda rank, name: faults.LockForTwo()), patience=5.0),
            "a circle that nobody names": lambda: locking.circle(faults.impatient, 3, SOON).faults,
        },
        "threads.timeout_lateness": {
            "60 ms late": lambda: late(faults.LateLock()),
            "no holder named": lambda: late(faults.NamelessTimeout()),
            "no error": lambda: late(faults.SilentTimeout()),
        },
        "threads.locks_left_held": {
            "a shutdown that closes none": lambda: measures.locks_left_held(
                faults.locks_that_outlive_the_shutdown(), locking.RANKS[:2], patience=0.3
            ),
        },
        "threads.pool_max": {
            "five too many": lambda: ended(faults.threads_beyond_their_number(), lambda pool: of_pool(pool, pairs=0)),
            "nested tasks hang": lambda: ended(faults.PlainThreads(4), of_pool),
        },
        "threads.priority_inversions": {
            "first come, first served": lambda: one_worker(faults.PlainThreads(1)),
            "the low ones starve": lambda: one_worker(faults.StrictThreads()),
        },
        "threads.affinity_violations": {
            "no channels": lambda: ended(
                faults.PlainThreads(8), lambda manager: measures.channel_faults(manager, 2_000)
            ),
        },
        "threads.stack_size": {
            "8 MiB": lambda: of_stack(faults.threads_with_large_stacks),
            "64 KiB": lambda: of_stack(faults.threads_with_tiny_stacks),
        },
        "threads.atomicity_faults": {
            "a counter in two steps": lambda: measures.counter_faults(faults.CounterInTwoSteps),
            "a counter that forgets": lambda: measures.counter_faults(faults.CounterThatForgets),
            "a lock for two": lambda: measures.lock_total_faults(faults.LockForTwo()),
            "a task that is not run": lambda: ended(faults.threads_that_lose_a_task(), measures.task_total_faults),
            "a buffer for two": lambda: of_slots(faults.BuffersForTwo()),
            "bytes of others": lambda: of_slots(faults.BuffersWithBytesOfOthers()),
        },
        "threads.protection_faults": {
            "guarded by nothing": lambda: measures.protection_faults(faults.Unguarded, OrderedLock(name="guard")),
            "a guard that two hold": lambda: measures.protection_faults(
                lambda lock, value: Guarded(faults.SaysHeld(), value), faults.LockForTwo()
            ),
        },
        "threads.state_inconsistencies": {
            "no lock": lambda: of_states(faults.UnlockedStates(), 300),
            "a history with a gap": lambda: measures.state_faults(faults.states_with_a_gap(), turns=100),
        },
        "threads.cleanup_leftovers": {
            "a thread": lambda: measures.leftovers(faults.threads_that_leave_a_thread, of_load, patience=0.3),
            "a descriptor": leaving_a_descriptor,
            "a shutdown that hangs": lambda: measures.leftovers(
                lambda: Faulty(None, shutdown=lambda: time.sleep(0.6)), lambda _: None, patience=0.3
            ),
        },
        "threads.lock_time": {
            "had late": lambda: over("threads.lock_time", lambda: locking.taken_by_with(faults.SlowLock())),
            "handed over late": lambda: hand_off(faults.SlowLock()),
        },
        "threads.startup_time": {
            "begun late": lambda: over("threads.startup_time", lambda: times.start_seconds(faults.SlowStart)),
        },
        "threads.switch_time": {
            "woken late": lambda: ended(
                faults.SlowStart(1), lambda slow: over("threads.switch_time", lambda: times.switch_seconds(slow))
            ),
        },
        "threads.resource_allocation_time": {"had late": lambda: bursts(lambda: time.sleep(0.02))},
        "threads.cpu_share": {"a busy thread": shares},
        "threads.contention": {
            "a lock that is kept in sleep": lambda: contended(0.002),
            "now and then": lambda: contended(0.05, every=0.02),
        },
        "threads.monitoring_error": {
            "half as much again": lambda: errors_of(faults.threads_with_wrong_readings()),
            "nothing read": lambda: errors_of(Faulty(ours.threads(), threads=tuple)),
        },
        "validation.hierarchy": {"no order": lambda: locking.order_faults(faults.locks_without_an_order())},
        "validation.safety": {"two steps": lambda: measures.counter_faults(faults.CounterInTwoSteps)},
        "validation.isolation": {"a buffer for two": lambda: of_slots(faults.BuffersForTwo())},
        "validation.lock_contention": {
            "waits that nobody counts": lambda: of_figures(faults.locks_that_hide_waits()),
            "one lock's waits for all": lambda: of_figures(faults.locks_that_share_figures()),
        },
        "validation.overhead": {
            "a diary": lambda: above("locks.monitoring_overhead", times.overhead(faults.DearLock(), rounds=3)),
        },
    },
    sound={
        "threads.order_violations_missed": lambda: locking.order_faults(faults.sound_locks()),
        "threads.deadlocks": lambda: storm(faults.sound_locks(), patience=15.0),
        "threads.deadlocks, circles": lambda: locking.circle(unranked, 3).faults,
        "threads.locks_left_held": lambda: measures.locks_left_held(faults.sound_locks(), locking.RANKS),
        "threads.pool_max": lambda: ended(ours.threads(), of_pool),
        "threads.priority_inversions": lambda: one_worker(ours.threads(workers=1)),
        "threads.affinity_violations": lambda: ended(
            ours.threads(), lambda manager: measures.channel_faults(manager, 2_000)
        ),
        "threads.stack_size": lambda: of_stack(ours.threads),
        "threads.atomicity_faults": lambda: measures.counter_faults(AtomicCounter),
        "threads.atomicity_faults, a lock": lambda: measures.lock_total_faults(OrderedLock(name="sound")),
        "threads.atomicity_faults, tasks": lambda: ended(ours.threads(), measures.task_total_faults),
        "threads.atomicity_faults, buffers": lambda: measures.slot_faults(ResourceManager()),
        "threads.protection_faults": lambda: measures.protection_faults(Guarded, OrderedLock(name="guard")),
        "threads.state_inconsistencies": lambda: measures.state_faults(StateManager(), turns=300),
        "threads.cleanup_leftovers": lambda: measures.leftovers(ours.threads, of_load),
        "threads.contention": lambda: contended(0.0),
        "threads.monitoring_error": lambda: errors_of(ours.threads(workers=2)),
        "validation.lock_contention": lambda: of_figures(faults.sound_locks()),
    },
)


def of_figures(manager: Any) -> list[str]:
    readings = times.lock_readings(manager, lambda name: times.statistics_of(manager, name), RANK)
    return [each.what for each in readings if each.error > 0.1]


@pytest.fixture(autouse=True)
def _all_given_back() -> Iterator[None]:
    """What a fault has left open is its own business; a thread that hangs for ever would be ours."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, Runner):
            thread.join(10)
            assert not thread.is_alive(), "a faulty subject has left a thread that hangs"


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLE.rows()])
def test_a_manager_with_a_fault_is_found_out(case: Case) -> None:
    assert raising(case)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TABLE.sound.items()])
def test_a_sound_manager_is_not_found_at_fault(case: Case) -> None:
    assert list(case()) == []


def test_there_is_a_fault_for_each_criterion_of_threads() -> None:
    assert TABLE.lacks("threads.") == []


def test_an_error_in_time_is_not_late() -> None:
    lock = OrderedLock(name="held")
    with Holding(lock):
        seconds = sorted(locking.lateness(lock) for _ in range(9))
    assert seconds[4] < 1.0
