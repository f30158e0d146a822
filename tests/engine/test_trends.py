"""From planted series to verdicts: over and within only where the whole interval is, counts only if it repeats."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from coresys.budgets.model import Level, Limit
from pytest_coresys.engine.looks import Looks
from pytest_coresys.engine.trends import (
    count_trend,
    memory_trend,
    rates_of_quarters,
    rises,
    share_trend,
    time_needed,
)

MIB = 2.0**20
LIMIT = Limit("memory.growth_rate", MIB)


def series(
    rate: float, seconds: float = 90.0, *, noise: float = 300.0, seed: int = 1, readings: int = 360
) -> tuple[list[float], list[float]]:
    """Readings that grow by so many MiB an hour, with what an allocator adds and takes."""
    drawn = random.Random(seed)
    times = [seconds * at / readings for at in range(readings)]
    return times, [80e6 + rate * MIB * time / 3600 + drawn.gauss(0, noise) for time in times]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("rate", "status"), [(0.0, "within"), (0.2, "within"), (2.0, "over"), (50.0, "over")])
def test_planted_rates_are_told_in_a_minute_and_a_half(rate: float, status: str, seed: int) -> None:
    trend = memory_trend(*series(rate, seed=seed), LIMIT, 0.026)
    assert trend.status == status
    assert trend.value is not None
    assert trend.low <= trend.value <= trend.high
    assert (trend.low > MIB) if status == "over" else (trend.high < MIB)


def test_a_rate_from_nine_tenths_of_the_limit_is_near() -> None:
    assert memory_trend(*series(0.95, 3600, noise=50), LIMIT, 0.026).status == "near"
    assert memory_trend(*series(0.95, 3600, noise=50), Limit("k", MIB, near=0.99 * MIB), 0.026).status == "within"


def test_an_interval_with_the_limit_in_it_is_too_short_and_says_so() -> None:
    trend = memory_trend(*series(1.0), LIMIT, 0.026)
    assert (trend.status, trend.value) == ("not_measured", None)
    assert trend.why is not None
    assert trend.why.startswith("too short: the limit of 1 MiB/h is within the interval, ")
    assert trend.low <= MIB <= trend.high


@pytest.mark.parametrize("readings", [0, 1, 24, 47])
def test_few_readings_are_never_a_verdict(readings: int) -> None:
    times, values = series(1000.0, readings=max(readings, 1))
    trend = memory_trend(times[:readings], values[:readings], LIMIT, 0.026)
    assert trend.status == "not_measured"
    assert trend.why == f"too short: {readings} readings, one at the end of a round, and 48 are needed"
    assert count_trend(times[:readings], values[:readings], 0.0, 0.05).status == "not_measured"
    assert share_trend(times[:readings], values[:readings], Limit("k", 0.05), 0.05).status == "not_measured"


def test_a_budget_that_is_off_is_not_judged() -> None:
    for level, maximum in (("off", MIB), ("off", None)):
        off: Level = level  # type: ignore[assignment]  # of a tuple
        assert memory_trend(*series(50.0), Limit("k", maximum, off), 0.05).why == "its budget is off"
        assert share_trend(*series(50.0), Limit("k", maximum, off), 0.05).why == "its budget is off"


@pytest.mark.parametrize("seed", range(20))
def test_looking_four_times_at_a_rate_below_the_limit_never_finds_it_over(seed: int) -> None:
    times, values = series(0.8, 3600, noise=20_000, seed=seed)
    looks = Looks(3600.0)
    for at in range(1, len(times) + 1):
        look = looks.due(times[at - 1])
        if look is not None:
            assert memory_trend(times[:at], values[:at], LIMIT, look.level).status != "over"
    assert looks.done == 0.75  # the last of the readings is before the end


TIMES = [float(second) for second in range(100)]
COUNTS: dict[str, tuple[Callable[[int], float], str]] = {
    "none": (lambda at: 3.0, "within"),
    "one a second": (lambda at: 3.0 + at, "over"),
    "one in ten seconds": (lambda at: 3.0 + at // 10, "over"),
    "a pool that is filled": (lambda at: 3.0 + min(at, 20), "within"),
    "a pool that is filled late": (lambda at: 3.0 + max(min(at - 70, 20), 0), "not_measured"),
    "one that comes and goes": (lambda at: 3.0 + at % 2, "within"),
    "two in all": (lambda at: 3.0 + at // 50, "not_measured"),
    "a sawtooth": (lambda at: 3.0 + at % 25, "not_measured"),
    "fewer and fewer": (lambda at: 300.0 - at, "within"),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_over_only_where_they_grow_in_each_part_of_the_time(name: str) -> None:
    value, status = COUNTS[name]
    trend = count_trend(TIMES, [value(at) for at in range(100)], 0.0, 0.05)
    assert trend.status in (status, "not_measured" if status == "within" else status), trend
    assert (trend.status == "over") == (status == "over")


def test_counts_that_are_allowed_are_not_over() -> None:
    values = [3.0 + at for at in range(100)]
    assert count_trend(TIMES, values, 3000.0, 0.05).status == "over"
    assert count_trend(TIMES, values, 4000.0, 0.05).status == "within"


def test_shares_are_over_only_if_they_are_above_the_limit_and_still_rise() -> None:
    limit = Limit("memory.fragmentation", 0.05)
    assert share_trend(TIMES, [at / 100 for at in range(100)], limit, 0.05).status == "over"
    assert share_trend(TIMES, [at / 2500 for at in range(100)], limit, 0.05).status == "within"
    stays = share_trend(TIMES, [0.0] * 10 + [0.2] * 90, limit, 0.05)
    assert (stays.status, stays.why) == ("not_measured", "too short: 20 %, and not seen to rise")
    assert share_trend(TIMES, [0.2] * 50 + [0.0] * 50, limit, 0.05).status == "within"


def test_quarters() -> None:
    assert rises([1, 2, 3, 4])
    assert not rises([1, 2, 2, 3])
    assert not rises([1, 2, 3])
    assert rates_of_quarters(TIMES, [float(at) for at in TIMES]) == [3600.0] * 4
    assert rates_of_quarters([], []) == []


def test_the_time_that_is_needed_is_a_round_number_and_longer() -> None:
    open_ = memory_trend(*series(1.0), LIMIT, 0.026)
    assert open_.status == "not_measured"
    assert time_needed(90.0, open_, MIB) in (300.0, 600.0, 900.0, 1800.0)
    assert time_needed(90.0, memory_trend([], [], LIMIT, 0.026), MIB) == 600.0
    assert time_needed(80_000.0, open_, MIB) == 86_400.0
