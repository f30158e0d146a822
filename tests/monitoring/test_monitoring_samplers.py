"""The sampler: its rate, broken sources, ending, and that it keeps nothing but numbers."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable

import pytest
from monitoring_helping import (  # noqa: F401  # fixtures
    PATIENCE,
    ROOT,
    forks,
    in_a_child,
    linux,
    no_threads_left,
    with_threads,
)

from coresys.monitoring import (
    DescriptorSource,
    FragmentationSource,
    MemorySource,
    ProcessSource,
    Sampler,
    ThreadSource,
)
from coresys.monitoring.samplers import Closing
from coresys.testing.fakes import FakeClock


class Numbers:
    """Reads 1, 2, 3, ...; raises ``error`` at the n-th reading."""

    def __init__(self, *names: str, every: float = 0.0, at: int = 0, error: BaseException | None = None) -> None:
        self.names, self.every, self._at, self._error = names, every, at, error
        self.read_count = self.closed = 0

    def read(self, readings: array[float], now: float) -> None:
        self.read_count += 1
        if self.read_count == self._at and self._error is not None:
            raise self._error
        for at in range(len(readings)):
            readings[at] = self.read_count + at / 10

    def close(self) -> None:
        self.closed += 1


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_each_source_is_read_when_it_is_due() -> None:
    clock = FakeClock(now=100.0)
    quick, slow = Numbers("quick", "beside"), Numbers("slow", every=1.0)
    seen: list[tuple[str, float]] = []
    sampler = Sampler([quick, slow], clock=clock, seen=lambda name, value: seen.append((name, value)))
    for _ in range(21):
        sampler.sample()
        clock.advance(0.125)
    assert (quick.read_count, slow.read_count) == (21, 3)
    assert sampler.series("slow").readings() == ([100.0, 101.0, 102.0], [1.0, 2.0, 3.0])
    assert sampler.series("beside").last() == 21.1
    assert seen[:4] == [("quick", 1.0), ("beside", 1.1), ("slow", 1.0), ("quick", 2.0)]
    sampler.close()
    assert (quick.closed, slow.closed) == (1, 1)


def test_what_is_due_is_read_with_the_nearest_sample() -> None:
    """The clock is never quite on time: a source of every half second, missed by a hair, would be read each 0.6."""
    clock = FakeClock(now=100.0)
    source = Numbers("a", every=0.5)
    sampler = Sampler([source], rate=10.0, clock=clock)
    for at in range(51):
        clock.advance(100.0 + at / 10 + (-0.0004 if at % 2 else 0.0004) - clock.now())
        sampler.sample()
    times, _ = sampler.series("a").readings()
    assert [round(time - 100.0, 1) for time in times] == [0.5 * at for at in range(11)]


def test_whoever_waits_for_the_end_sees_it_whenever_and_however_often_it_is_told() -> None:
    closing = Closing()
    assert (closing.is_set(), closing.wait(0.0)) == (False, False)
    setting = threading.Timer(0.02, closing.set)
    setting.start()
    assert closing.wait(PATIENCE)
    setting.join()
    closing.set()
    assert (closing.is_set(), closing.wait(0.0), closing.wait(0.0)) == (True, True, True)


def test_two_that_tell_of_the_end_at_once_do_no_harm() -> None:
    closing = Closing()

    class Slow:
        """A lock whose release lets another thread tell first."""

        def release(self) -> None:
            lock.release()
            lock.release()  # which this one does after it

    lock = closing._lock
    closing._lock = Slow()  # type: ignore[assignment]
    closing.set()
    closing._lock = lock
    assert closing.wait(0.0)


def test_what_a_source_cannot_tell_is_no_reading() -> None:
    class Silent(Numbers):
        def read(self, readings: array[float], now: float) -> None:
            self.read_count += 1
            if self.read_count == 1:
                readings[0] = 5.0

    seen: list[float] = []
    sampler = Sampler([Silent("s")], clock=FakeClock(), seen=lambda name, value: seen.append(value))
    sampler.sample()
    sampler.sample()
    assert seen == [5.0]
    assert sampler.series("s").readings()[1] == [5.0]
    assert sampler.series("s").last() is None  # NaN does not stay from the last time
    assert sampler.not_measured == {}


@pytest.mark.parametrize("error", [OSError("gone"), SystemExit(3), KeyboardInterrupt(), MemoryError()])
def test_a_source_that_raises_is_dropped_told_of_once_and_not_measured(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = Numbers("a", "b", at=3, error=error), Numbers("c")
    with caplog.at_level(logging.WARNING, "coresys.monitoring"):
        sampler = Sampler([broken, sound], clock=FakeClock())
        for _ in range(6):
            sampler.sample()
    assert (broken.read_count, broken.closed, sound.read_count) == (3, 1, 6)
    why = f"{type(error).__name__}: {error}"
    assert sampler.not_measured == {"a": why, "b": why}
    assert len(sampler.series("a")) == 2
    (record,) = caplog.records
    assert record.getMessage() == f"a, b: not measured any more: {why}"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert repr(sampler) == "<Sampler: not started, 3 figures, 2 not measured>"


def test_who_hears_of_samples_and_raises_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken(*given: object) -> None:
        raise RuntimeError("no")

    sampler = Sampler([Numbers("a")], clock=FakeClock(), seen=broken, after=broken)
    with caplog.at_level(logging.ERROR, "coresys.monitoring"):
        for _ in range(3):
            sampler.sample()
    assert len(caplog.records) == 1
    assert len(sampler.series("a")) == 3


def test_a_source_that_cannot_be_closed_keeps_none_from_being_closed(caplog: pytest.LogCaptureFixture) -> None:
    class Stuck(Numbers):
        def close(self) -> None:
            raise OSError("busy")

    other = Numbers("b")
    sampler = Sampler([Stuck("a"), other])
    sampler.close()
    assert other.closed == 1
    assert [record.getMessage() for record in caplog.records] == ["a: could not be closed"]


def test_two_sources_of_one_figure_are_refused_and_rates_are_looked_at() -> None:
    with pytest.raises(ValueError, match="'a' is read by another source"):
        Sampler([Numbers("a"), Numbers("b", "a")])
    for rate in (0, -1, 1001):
        with pytest.raises(ValueError, match="1000 times a second"):
            Sampler(rate=rate)


def test_the_thread_reads_until_it_is_closed() -> None:
    source = Numbers("a")
    sampler = Sampler([source], rate=500)
    sampler.start()
    until(lambda: source.read_count > 5)
    assert sampler.is_running
    assert not next(each.daemon for each in threading.enumerate() if each.name == "coresys-sampler")
    with pytest.raises(ValueError, match="takes no more sources"):
        sampler.add(Numbers("late"))
    sampler.close()
    sampler.close()
    read = source.read_count
    assert (sampler.is_running, source.closed) == (False, 1)
    assert read == len(sampler.series("a"))
    with pytest.raises(RuntimeError, match="started once"):
        sampler.start()
    unused = Sampler()
    unused.close()
    with pytest.raises(RuntimeError, match="not after it was closed"):
        unused.start()


def test_it_can_be_closed_from_inside() -> None:
    source = Numbers("a")
    sampler = Sampler([source], rate=500, after=lambda: sampler.close())
    sampler.start()
    until(lambda: not sampler.is_running)
    assert (source.read_count, source.closed) == (1, 1)


def test_the_rate_is_that_of_the_clock_it_was_given() -> None:
    clock, waits = FakeClock(now=0.0), []
    enough = Closing()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        clock.advance(seconds)
        if len(waits) == 40:
            enough.set()
        return enough.is_set()

    source = Numbers("a")
    sampler = Sampler([source], rate=2.0, clock=clock, wait=wait)
    sampler._closing = enough
    sampler.start()
    assert enough.wait(PATIENCE)
    sampler.close()
    assert max(waits) <= 0.25  # so that the end of the process is seen in time
    times, _ = sampler.series("a").readings()
    assert times == [0.5 * at for at in range(len(times))]
    assert len(times) >= 19


def test_after_a_long_reading_it_does_not_make_up_for_what_it_missed() -> None:
    clock, reads = FakeClock(now=0.0), []
    enough = Closing()

    class Slow(Numbers):
        def read(self, readings: array[float], now: float) -> None:
            reads.append(now)
            clock.advance(7.0 if len(reads) == 2 else 0.0)
            if len(reads) == 5:
                enough.set()

    def wait(seconds: float) -> bool:
        clock.advance(seconds)
        return enough.is_set()

    sampler = Sampler([Slow("a")], rate=4.0, clock=clock, wait=wait)
    sampler._closing = enough
    sampler.start()
    assert enough.wait(PATIENCE)
    sampler.close()
    assert reads[:5] == [0.0, 0.25, 7.25, 7.5, 7.75]


@pytest.mark.slow
def test_a_process_that_forgets_to_close_it_ends_all_the_same() -> None:
    code = (
        "from coresys.monitoring import MonitoringManager, process_sources\n"
        "m = MonitoringManager(sources=process_sources(), rate=2)\n"
        "m.start()\n"
        "print('left')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")


@forks
@with_threads
def test_a_forked_child_has_no_sampler_and_says_so() -> None:
    source = Numbers("a")
    sampler = Sampler([source], rate=500)
    sampler.start()
    until(lambda: source.read_count > 1)

    def child() -> None:
        assert not sampler.is_running
        assert sampler.not_measured == {"a": "this is a forked child: the sampler did not come along"}
        with pytest.raises(RuntimeError):
            sampler.start()
        sampler.close()
        assert source.closed == 0  # what it holds is the parent's

    assert in_a_child(child) == 0
    before = source.read_count
    until(lambda: source.read_count > before)
    sampler.close()
    assert source.closed == 1


@linux
@pytest.mark.slow
@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts CPython's blocks")
def test_sampling_keeps_nothing_but_numbers() -> None:
    sampler = Sampler([ProcessSource(), MemorySource(), DescriptorSource()], kept=50)

    def many() -> int:
        for _ in range(1500):
            sampler.sample()
        gc.collect()
        return sys.getallocatedblocks()

    many()
    first = many()
    second = many()
    sampler.close()
    assert second - first < 30  # a tuple kept of each would be 1,500
    assert sampler.not_measured == {}


@linux
@pytest.mark.slow
@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts CPython's blocks")
def test_reading_leaves_nothing_for_the_collector() -> None:
    """A library that was loaded for each reading came to 60 KB each, and looked like growth until it was collected."""
    sampler = Sampler([FragmentationSource(every=0.0), ThreadSource(every=0.0), MemorySource()], kept=50)

    def many() -> int:
        for _ in range(10):
            sampler.sample()
        return sys.getallocatedblocks()

    many()
    gc.collect()
    gc.disable()
    try:
        first = many()
        assert many() - first < 100
    finally:
        gc.enable()
        sampler.close()
