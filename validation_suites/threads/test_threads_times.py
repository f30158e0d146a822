"""The criteria ``threads.*`` that are times and shares. Each is timed beside what the machine does in its place."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter

import pytest

from pytest_coresys.criteria.recorder import CriteriaRecorder
from validation_suites import ours
from validation_suites.conftest import Subject
from validation_suites.faults import threads as faults
from validation_suites.state.measures import DOOR
from validation_suites.threads import locking, times
from validation_suites.threads.racing import NEVER, Holding
from validation_suites.threads.recording import catches, of_locks, record_contention, time_lock, told

RANK = "service"


class _RawWithTimeout:
    """A raw lock, whose ``acquire`` says how late it came back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def late(self, timeout: float = 0.002) -> float:
        began = perf_counter()
        self._lock.acquire(timeout=timeout)
        return max(perf_counter() - began - timeout, 0.0)


@pytest.mark.coresys_criterion("threads.timeout_lateness")
def test_a_timeout_ends_a_wait(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    """Before it is asked how late: what never ends cannot be timed, nor left."""
    identity = "threads.timeout_lateness"
    with told(coresys_criteria, identity):
        manager = of_locks(subject, coresys_criteria, [RANK], identity)
        if manager is None:
            return
        lock = manager.lock(RANK)
        with Holding(lock):
            if locking.waits_for_ever(lock):
                for _ in range(coresys_criteria.criterion(identity).min_samples):  # it is so however often it is asked
                    coresys_criteria.record(identity, NEVER, "a wait with a timeout of 2 ms did not end")


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("threads.timeout_lateness")
def test_a_timeout_is_honoured(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.timeout_lateness"):
        identity = "threads.timeout_lateness"
        manager = of_locks(subject, coresys_criteria, [RANK], identity)
        if manager is None:
            return
        lock, raw = manager.lock(RANK), _RawWithTimeout()

        def a_raw_lock_with_a_timeout() -> float:
            return raw.late()

        with Holding(lock):
            if locking.waits_for_ever(lock):
                coresys_criteria.note(identity, "it is not asked how late: see the test before")
                return
            coresys_criteria.timed(
                identity, lambda: locking.lateness(lock), beside=a_raw_lock_with_a_timeout, calls=200, rounds=3
            )


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("threads.lock_time")
def test_a_lock_is_had_soon(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.lock_time"):
        manager = of_locks(subject, coresys_criteria, [RANK], "threads.lock_time")
        if manager is not None:
            time_lock(coresys_criteria, "threads.lock_time", manager.lock(RANK))


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("threads.startup_time")
def test_a_thread_starts_soon(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.startup_time"):
        make = subject.factory("threads")

        def the_first_thread_of_a_standard_executor() -> float:
            return times.standard_start_seconds()

        coresys_criteria.timed(
            "threads.startup_time",
            lambda: times.start_seconds(make),
            beside=the_first_thread_of_a_standard_executor,
            calls=300,
            rounds=3,
        )


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("threads.switch_time")
def test_threads_change_places_soon(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    identity, raw, before = "threads.switch_time", times.PingPong(), times.involuntary_switches()
    standard = ThreadPoolExecutor(1)

    def a_standard_executor() -> float:
        return times.switch_seconds(standard)

    try:
        by_raw_locks = sorted(raw() for _ in range(500))
        line = f"a ping-pong by two raw locks: p50 {by_raw_locks[250] * 1e6:.1f} us, one way"
        coresys_criteria.note(identity, line)
        with told(coresys_criteria, identity):
            manager = subject("threads")
            switch = partial(times.switch_seconds, manager)
            coresys_criteria.timed(identity, switch, beside=a_standard_executor, calls=2_000, rounds=3)
    finally:
        raw.end()
        standard.shutdown()
    after = times.involuntary_switches()
    if before is not None and after is not None:
        coresys_criteria.note(identity, f"{after - before} switches meanwhile that no thread asked for")


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("threads.resource_allocation_time")
def test_workers_get_buffers_soon(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.resource_allocation_time"):
        # One of twenty may be kept for what is urgent.
        manager, resources, workers = subject("threads", workers=20), subject("resources"), 19
        own = times.Bursts(manager, lambda: times.lease_and_release(resources, "burst"), workers)
        theirs = times.Bursts(manager, lambda: bytearray(4096), workers)

        def a_bytearray_in_every_worker() -> float:
            return theirs()

        coresys_criteria.timed(
            "threads.resource_allocation_time", own, beside=a_bytearray_in_every_worker, calls=50 * workers, rounds=3
        )


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("threads.cpu_share", "monitoring.cpu_share")
def test_own_threads_take_little_of_a_processor(coresys_criteria: CriteriaRecorder) -> None:
    if not times.can_tell_processor_time():
        for identity in ("threads.cpu_share", "monitoring.cpu_share"):
            coresys_criteria.unmeasured(identity, "this system does not tell what a thread had of the processor")
        return
    before = set(threading.enumerate())
    with ours.system(sampling=10.0) as system:
        times.start_all_workers(system.threads, 20)
        own = [thread for thread in threading.enumerate() if thread not in before]
        sampler = [thread for thread in own if "sampler" in thread.name]
        loads = {"idle": lambda: times.no_load(1.5), "load": lambda: times.task_load(system.threads, 1.5)}
        for what, load in loads.items():
            whole, sampling = times.cpu_shares([own, sampler], load)
            told = f"{what}: {whole:.2%} of a core, {len(own)} threads, less what their tasks took"
            coresys_criteria.record("threads.cpu_share", whole, told)
            coresys_criteria.record("monitoring.cpu_share", sampling, f"{what}: {sampling:.2%}, {len(sampler)} sampler")


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("threads.contention")
def test_own_locks_keep_nobody_waiting(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    with told(coresys_criteria, "threads.contention"):
        identity = "threads.contention"
        manager = of_locks(subject, coresys_criteria, [RANK], identity)
        if manager is None:
            return
        resources, states, lock = subject("resources"), subject("state"), manager.lock(RANK, name="of the load")
        for number in range(8):
            states.define(f"door {number}", DOOR)
        events = [["push", "pull"] for _ in range(8)]
        pending: list[list[object]] = [[] for _ in range(8)]

        def work(number: int) -> None:
            with lock:
                times.think()
            times.lease_and_release(resources, "load")
            states.fire(f"door {number}", events[number][0])
            events[number].reverse()
            pending[number] = [manager.submit(times.think)]
            times.think()

        record_contention(coresys_criteria, identity, work)
        for figures in manager.locks():
            share = figures.waited / max(figures.acquired, 1)
            coresys_criteria.note(identity, f"{figures.name}: {figures.contended} of {figures.acquired} waited, "
                                            f"{share * 1e6:.1f} us each on average")  # fmt: skip


@pytest.mark.coresys_no_repeat(reason="loads of known length, each measured once")
@pytest.mark.coresys_criterion("threads.monitoring_error")
def test_readings_of_known_loads_are_right(subject: Subject, coresys_criteria: CriteriaRecorder) -> None:
    identity = "threads.monitoring_error"
    if times.own_switches() is None:
        coresys_criteria.unmeasured(identity, "this system does not count the context switches of a thread")
        return
    with told(coresys_criteria, identity):
        manager = of_locks(subject, coresys_criteria, [RANK], identity)
        if manager is None:
            return
        readings = [
            *times.thread_readings(manager),
            *times.lock_readings(manager, lambda name: times.statistics_of(manager, name), RANK),
            *times.lease_readings(subject("resources")),
        ]
        for each in readings:
            read = "not at all" if each.read is None else f"{each.read:.4g}"
            coresys_criteria.record(identity, each.error, f"{each.what}: {read}, and it was {each.known:.4g}")


@pytest.mark.coresys_no_repeat(reason="waits of known length")
@pytest.mark.coresys_criterion("validation.lock_contention")
def test_waits_that_are_not_told_are_caught(coresys_criteria: CriteriaRecorder) -> None:
    catches(
        coresys_criteria,
        "validation.lock_contention",
        contention_faults,
        sound=faults.sound_locks,
        faulty=(faults.locks_that_hide_waits, faults.locks_that_share_figures),
    )


def contention_faults(manager: object) -> list[str]:
    """Wait share and contended share of each named lock, where both are known."""
    readings = times.lock_readings(manager, lambda name: times.statistics_of(manager, name), RANK)  # type: ignore[arg-type]
    return [f"{each.what}: {each.read}, and it was {each.known:.4g}" for each in readings if each.error > 0.1]


@pytest.mark.coresys_alone
@pytest.mark.coresys_criterion("validation.overhead")
def test_a_dear_lock_is_caught(coresys_criteria: CriteriaRecorder) -> None:
    limit = coresys_criteria.criterion("locks.monitoring_overhead").limit
    catches(
        coresys_criteria,
        "validation.overhead",
        lambda lock: [f"{ratio:.1f} times a raw one"] if (ratio := times.overhead(lock)) > limit else [],
        sound=lambda: faults.sound_locks().lock(RANK),
        faulty=(faults.DearLock,),
    )
