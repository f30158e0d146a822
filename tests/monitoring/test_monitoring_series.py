"""The ring of readings: its bounds, what a reader sees meanwhile, and that it keeps nothing."""

from __future__ import annotations

import gc
import math
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitoring_helping import PATIENCE, no_threads_left, stormy  # noqa: F401  # fixtures

from coresys.monitoring import Series


@given(st.integers(1, 20), st.lists(st.floats(-1e9, 1e9), max_size=60))
def test_the_last_readings_are_kept_in_order(capacity: int, values: list[float]) -> None:
    series = Series(capacity)
    for time, value in enumerate(values):
        series.add(float(time), value)
    kept = list(enumerate(values))[-capacity:]
    assert series.readings() == ([float(time) for time, _ in kept], [value for _, value in kept])
    assert (len(series), series.added, series.capacity) == (len(kept), len(values), capacity)
    assert series.last() == (values[-1] if values else None)


@pytest.mark.parametrize(("since", "times"), [(None, [0, 2, 3]), (-1, [0, 2, 3]), (2, [2, 3]), (2.5, [3]), (4, [])])
def test_what_was_not_measured_is_left_out_and_the_rest_is_from_a_time_on(
    since: float | None, times: list[float]
) -> None:
    series = Series(5)
    for time, value in enumerate([5.0, math.nan, 7.0, 8.0]):
        series.add(time, value)
    assert series.readings(since)[0] == times
    series.add(4, math.nan)
    assert series.last() is None
    assert repr(series) == "<Series: 5 of 5 readings, 5 in all>"


def test_a_series_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Series(0)


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_who_reads_meanwhile_sees_whole_readings_only() -> None:
    series = Series(7)
    done = threading.Event()
    looks = []

    def look() -> None:
        while not done.is_set():
            looks.append(series.readings())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    for number in range(20_000):
        series.add(float(number), -float(number))
        if number % 256 == 0:
            assert series.last() == -float(number)
    done.set()
    thread.join(PATIENCE)
    assert len(looks) > 3
    for times, values in looks:
        assert values == [-time for time in times]
        assert list(times) == sorted(set(times))
        assert not times or times[-1] - times[0] == len(times) - 1


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts CPython's blocks")
def test_adding_keeps_nothing() -> None:
    series = Series(100)

    def many() -> None:
        for number in range(5_000):
            series.add(1e6 + number, 2e6 + number)

    many()
    gc.collect()
    before = sys.getallocatedblocks()
    many()
    gc.collect()
    assert sys.getallocatedblocks() - before < 20
