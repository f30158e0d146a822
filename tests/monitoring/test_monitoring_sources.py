"""Readings are right: of given figures by arithmetic, and of known loads."""

from __future__ import annotations

import math
import os
import threading
import time
from array import array

import pytest
from monitoring_helping import PATIENCE, linux, no_threads_left  # noqa: F401  # autouse

from coresys.monitoring import (
    DescriptorSource,
    FragmentationSource,
    GrowthSource,
    LockSource,
    MemorySource,
    PoolSource,
    ProcessSource,
    Series,
    Source,
    ThreadSource,
)
from coresys.system_records import LockStatistics, PoolStatistics, ThreadRecord
from coresys.threads import OrderedLock, thread_records


def readings(source: Source, now: float) -> dict[str, float]:
    into = array("d", [math.nan]) * len(source.names)
    source.read(into, now)
    return dict(zip(source.names, into, strict=True))


def is_nan(values: dict[str, float]) -> list[str]:
    return [name for name, value in values.items() if math.isnan(value)]


def test_the_process_is_told_by_the_second_and_not_at_first() -> None:
    figures = iter([(10.0, 100, 5), (10.0, 100, 5), (10.5, 130, 5), (10.5, 130, 6)])
    source = ProcessSource(lambda: next(figures))  # the first is to see that it works
    assert len(is_nan(readings(source, 50.0))) == 3
    assert readings(source, 52.0) == {
        "process.cpu_share": 0.25, "process.voluntary_switches": 15.0, "process.involuntary_switches": 0.0,
    }  # fmt: skip
    assert len(is_nan(readings(source, 52.0))) == 3  # no time has gone by


def thread(native: int | None, cpu: float | None, queue: float | None = 0.0) -> ThreadRecord:
    return ThreadRecord("t", native, native, False, cpu, 0, 0, queue)


def test_threads_are_told_by_what_they_did_since_the_last_time() -> None:
    turns = iter(
        [
            [thread(1, 5.0, 1.0), thread(2, 7.0, 2.0)],
            [thread(1, 5.5, 1.1), thread(2, 7.0, 2.0), thread(3, 0.25, 0.3), thread(None, None)],
            [thread(2, 0.5, 0.1)],  # the number went to a new thread
            [thread(4, None)],
            [thread(4, 1.0, None)],
        ]
    )
    source = ThreadSource(lambda: next(turns))
    assert len(is_nan(readings(source, 10.0))) == 3
    found = readings(source, 11.0)
    assert list(found.values()) == pytest.approx([0.75, 0.5, 0.4])
    assert list(readings(source, 13.0).values()) == pytest.approx([0.25, 0.25, 0.05])
    assert len(is_nan(readings(source, 14.0))) == 3  # the kernel says nothing: that is not 0
    assert is_nan(readings(source, 15.0)) == ["threads.run_queue_share"]


def lock(name: str, waited: float, contended: int, waiting: int = 0) -> LockStatistics:
    return LockStatistics(name, 0, 10, contended, waited, waited, 0, None, 0, None, waiting)


def test_locks_are_told_by_what_they_were_waited_for() -> None:
    turns = iter(
        [
            [lock("a", 1.0, 4), lock("b", 0.0, 0)],
            [lock("a", 1.5, 6, 1), lock("b", 0.25, 1), lock("b", 0.25, 1, 2)],
            [lock("b", 0.1, 0)],  # another of that name
            [],
        ]
    )
    source = LockSource(lambda: next(turns))
    assert is_nan(readings(source, 1.0)) == ["locks.wait_share", "locks.worst_wait_share", "locks.contended"]
    assert list(readings(source, 2.0).values()) == pytest.approx([1.0, 0.5, 4.0, 3.0])
    assert list(readings(source, 3.0).values()) == [0.0, 0.0, 0.0, 0.0]
    assert list(readings(source, 4.0).values()) == [0.0, 0.0, 0.0, 0.0]


def test_of_pools_the_worst_tier_is_told() -> None:
    def tier(busy: int, external: float, internal: float, idle: float, slots: int = 4) -> PoolStatistics:
        return PoolStatistics("t", 4096, slots, busy, busy, 0, 0, 0, external, internal, idle)

    source = PoolSource(lambda: [tier(1, 0.0, 0.5, 0.1), tier(3, 0.25, 0.0, 0.2), tier(0, 0.0, 0.0, 0.0, slots=0)])
    assert list(readings(source, 1.0).values()) == [0.25, 0.5, 0.2, 0.75]
    assert list(readings(PoolSource(list), 1.0).values()) == [0.0] * 4


def test_growth_is_a_figure_where_it_is_clear_only() -> None:
    series = Series(2000)
    source = GrowthSource(series, window=100.0)
    assert is_nan(readings(source, 0.0)) == ["memory.growth_rate"]
    assert source.verdict is not None
    assert source.verdict.verdict == "unclear"
    for at in range(1000):
        series.add(at / 10, 1e6 + 3 * 2**20 * at / 36000)
    assert readings(source, 100.0)["memory.growth_rate"] == pytest.approx(3 * 2**20, rel=0.01)
    for at in range(1000):
        series.add(100 + at / 10, 2e6)
    assert readings(source, 200.0)["memory.growth_rate"] == 0.0  # the window has moved on


@linux
@pytest.mark.slow
def test_processor_time_of_a_known_load_is_read_right() -> None:
    source = ProcessSource()
    began, used = time.monotonic(), time.process_time()
    readings(source, began)
    while time.process_time() - used < 0.2:
        pass
    now, spent = time.monotonic(), time.process_time() - used
    share = readings(source, now)["process.cpu_share"]
    assert share * (now - began) == pytest.approx(spent, rel=0.05, abs=0.01)


@linux
@pytest.mark.slow
def test_the_busiest_thread_is_the_one_that_works() -> None:
    ident = threading.get_ident()
    source = ThreadSource(lambda: [record for record in thread_records() if record.ident == ident])
    began, used = time.monotonic(), time.thread_time()
    readings(source, began)
    while time.thread_time() - used < 0.2:
        pass
    now = time.monotonic()
    spent = time.thread_time() - used
    assert readings(source, now)["threads.busiest_cpu_share"] * (now - began) == pytest.approx(spent, rel=0.1)


@linux
def test_given_waits_are_voluntary_switches() -> None:
    source = ProcessSource()
    readings(source, 0.0)
    for _ in range(50):
        time.sleep(0.0005)
    assert readings(source, 1.0)["process.voluntary_switches"] >= 45


@linux
def test_memory_that_is_taken_is_seen_in_use() -> None:
    source = MemorySource()
    before = readings(source, 0.0)
    kept = [bytearray(1_000_000) for _ in range(8)]
    small = [object() for _ in range(50_000)]
    after = readings(source, 1.0)
    source.close()
    assert after["memory.in_use"] - before["memory.in_use"] == pytest.approx(8e6 + 50_000 * 24, rel=0.1)
    assert after["memory.pymalloc"] - before["memory.pymalloc"] >= 50_000 * 16
    assert len(kept) + len(small) == 50_008


@linux
def test_descriptors_and_threads_are_counted_exactly() -> None:
    source = DescriptorSource()
    before = readings(source, 0.0)
    pipes = [os.pipe() for _ in range(5)]
    release = threading.Event()
    waiting = [threading.Thread(target=release.wait, args=(PATIENCE,)) for _ in range(3)]
    for each in waiting:
        each.start()
    after = readings(source, 1.0)
    release.set()
    for each in waiting:
        each.join()
    for pipe in pipes:
        os.close(pipe[0])
        os.close(pipe[1])
    source.close()
    assert after["process.descriptors"] - before["process.descriptors"] == 10
    assert after["process.threads"] - before["process.threads"] == 3


@linux
@pytest.mark.slow
def test_what_is_freed_but_for_one_in_twenty_is_fragmentation() -> None:
    source = FragmentationSource()
    assert readings(source, 0.0) == {"memory.fragmentation": 0.0}
    many = [bytes(200) for _ in range(200_000)]
    assert readings(source, 1.0)["memory.fragmentation"] < 0.05
    few = many[::20]
    del many
    assert readings(source, 2.0)["memory.fragmentation"] > 0.2
    assert len(few) == 10_000
    source.close()


@linux
@pytest.mark.slow
def test_a_wait_for_a_real_lock_is_seen() -> None:
    ranked = OrderedLock(name="busy")
    source = LockSource(lambda: [ranked.statistics()])
    readings(source, 0.0)
    taken, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with ranked:
            taken.set()
            leave.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(PATIENCE)

    def wait() -> None:
        with ranked:
            pass

    waiter = threading.Thread(target=wait)
    waiter.start()
    end = time.monotonic() + PATIENCE
    while readings(source, 1.0)["locks.waiting"] != 1 and time.monotonic() < end:
        time.sleep(0.001)
    before = readings(source, 2.0)
    time.sleep(0.02)
    leave.set()
    waiter.join()
    holder.join()
    after = readings(source, 3.0)
    assert before["locks.waiting"] == 1
    assert (after["locks.waiting"], after["locks.wait_share"] + before["locks.wait_share"] >= 0.02) == (0, True)
