"""The verdict on growth: what was planted is found, what is steady is cleared, and what cannot be told is not."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresys.monitoring import judge_growth
from coresys.monitoring.growth import LIMIT, theil_sen
from coresys.system_records import GrowthVerdict

KIB, MIB = 1024.0, 1024.0 * 1024.0
# Of this machine's counters (research/core.md): pymalloc alone, and with malloc; lag-1 correlation 0.95 at 5 Hz.
QUIET, NOISY = 1.7 * KIB, 12 * KIB
ALIKE = 0.975  # at 10 Hz

Extra = Callable[[float], float]


def simulated(
    seed: int,
    rate: float = 0.0,
    *,
    noise: float = QUIET,
    seconds: float = 60.0,
    extra: Extra = lambda time: 0.0,
) -> GrowthVerdict:
    """A minute of samples at 10 Hz: ``rate`` MiB/h, noise that is like itself, and now and then a large temporary."""
    chance = random.Random(seed)
    times, values = [], []
    now = chance.gauss(0, noise)
    for at in range(int(seconds * 10)):
        now = ALIKE * now + math.sqrt(1 - ALIKE**2) * chance.gauss(0, noise)
        spike = 64 * KIB if chance.random() < 0.01 else 0.0
        times.append(at / 10)
        values.append(round((50 * MIB + rate * MIB * at / 36000 + now + extra(at / 10) + spike) / 16) * 16.0)
    return judge_growth(times, values)


def verdicts(count: int, rate: float, **given_: object) -> Counter[str]:
    return Counter(simulated(seed, rate, **given_).verdict for seed in range(count))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "verdict"), [(0.0, "steady"), (0.2, "steady"), (2.0, "growing")])
def test_in_a_minute_what_was_planted_is_found_and_the_steady_is_cleared_50_of_50(rate: float, verdict: str) -> None:
    assert verdicts(50, rate) == {verdict: 50}


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.0, 0.2, 1.0])
def test_what_does_not_grow_by_more_than_the_limit_is_seldom_said_to_whatever_the_noise(rate: float) -> None:
    for noise in (QUIET, NOISY):
        assert verdicts(100, rate, noise=noise)["growing"] <= 8


@pytest.mark.slow
def test_where_noise_is_too_large_for_a_minute_more_time_is_asked_for_and_is_enough() -> None:
    short = verdicts(50, 0.2, noise=NOISY)
    assert short["unclear"] >= 30
    assert short["growing"] <= 1
    assert verdicts(20, 0.2, noise=NOISY, seconds=400) == {"steady": 20}
    assert verdicts(20, 2.0, noise=NOISY, seconds=400) == {"growing": 20}
    assert "more time" in next(v for v in map(simulated_noisy, range(50)) if v.verdict == "unclear").why


def simulated_noisy(seed: int) -> GrowthVerdict:
    return simulated(seed, 0.2, noise=NOISY)


def saw(period: float) -> Extra:
    return lambda time: 200 * KIB * (time / period % 1)


def warm_up(tau: float) -> Extra:
    return lambda time: 2 * MIB * (1 - math.exp(-time / tau))


@pytest.mark.slow
@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(lambda time: MIB * (time > 20), id="one step"),
        pytest.param(lambda time: 100 * KIB * (time > 31.4), id="one step in the middle of a block"),
        pytest.param(lambda time: -MIB * (time > 30), id="one release"),
        pytest.param(lambda time: MIB * (20 < time < 40), id="there for a while"),
        *[pytest.param(saw(period), id=f"sawtooth of {period} s") for period in (0.7, 3.0, 5.1, 11.0, 20.0, 35.0)],
        *[pytest.param(warm_up(tau), id=f"warm-up of {tau} s") for tau in (2.0, 5.0, 10.0, 20.0)],
    ],
)
def test_what_is_no_leak_is_never_called_one(extra: Extra) -> None:
    assert verdicts(30, 0.0, extra=extra)["growing"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "seconds", "rate", "verdict"),
    [
        (lambda time: MIB * (time > 20), 60, 0.0, "steady"),
        (lambda time: MIB * (time > 20), 60, 2.0, "growing"),
        (saw(0.7), 60, 0.0, "steady"),
        (saw(0.7), 60, 2.0, "growing"),
        (saw(11.0), 600, 0.0, "steady"),
        (saw(11.0), 600, 2.0, "growing"),
        (warm_up(5.0), 300, 0.0, "steady"),
        (warm_up(5.0), 300, 2.0, "growing"),
        (warm_up(20.0), 300, 0.0, "steady"),
        (lambda time: 10 * KIB * (time // 7), 60, 0.0, "growing"),  # in steps, but all the time
    ],
)
def test_steps_sawteeth_and_warm_ups_are_seen_through(extra: Extra, seconds: float, rate: float, verdict: str) -> None:
    assert verdicts(10, rate, extra=extra, seconds=seconds)[verdict] >= 9


def test_a_step_that_was_taken_out_is_told() -> None:
    found = simulated(1, extra=lambda time: MIB * (time > 20))
    (size,) = found.steps_out
    assert size == pytest.approx(MIB, rel=0.05)
    assert found.verdict == "steady"


def test_a_warm_up_can_be_left_out() -> None:
    times = [at / 10 for at in range(900)]
    chance = random.Random(3)
    values = [10 * MIB + 2 * MIB * min(time / 30, 1.0) + chance.gauss(0, 500) for time in times]
    assert judge_growth(times, values, warm_up=31).verdict == "steady"
    assert judge_growth(times, values, warm_up=31).seconds == pytest.approx(58.9)
    assert judge_growth(times, values, warm_up=100).why == "too few readings"


@pytest.mark.parametrize("count", [0, 1, 2, 23])
def test_too_few_readings_are_unclear(count: int) -> None:
    found = judge_growth([float(at) for at in range(count)], [at * MIB for at in range(count)])
    assert (found.verdict, found.why, found.readings) == ("unclear", "too few readings", count)


def test_readings_of_one_moment_are_unclear() -> None:
    assert judge_growth([5.0] * 100, [1.0] * 100).verdict == "unclear"


@pytest.mark.parametrize(("rate", "verdict"), [(0.99, "steady"), (1.0, "unclear"), (1.01, "growing"), (-5.0, "steady")])
def test_a_line_without_noise_is_told_from_the_limit_exactly(rate: float, verdict: str) -> None:
    times = [float(at) for at in range(200)]
    found = judge_growth(times, [rate * MIB * time / 3600 for time in times])
    if rate == 1.0:  # a last digit decides
        assert found.rate == pytest.approx(LIMIT)
    else:
        assert found.verdict == verdict
        assert found.low == pytest.approx(found.high) == pytest.approx(rate * MIB)


def test_the_limit_is_the_callers() -> None:
    times = [float(at) for at in range(200)]
    values = [2 * MIB * time / 3600 for time in times]
    assert judge_growth(times, values, limit=3 * MIB).verdict == "steady"
    assert judge_growth(times, values, limit=0).verdict == "growing"


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"blocks": 7}, "at least 8 blocks, not 7"),
        ({"confidence": 0.0}, "between 0 and 1"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"confidence": math.nan}, "between 0 and 1"),
    ],
)
def test_parameters_are_looked_at(given_: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge_growth([], [], **given_)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 times, and 1 values"):
        judge_growth([1.0, 2.0], [1.0])


points = st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=20)


@given(points, st.floats(-1e3, 1e3), st.floats(-1e6, 1e6))
def test_the_estimate_moves_with_a_trend_and_not_with_a_level(values: list[float], slope: float, level: float) -> None:
    where = [float(at) for at in range(len(values))]
    found = theil_sen(where, values)
    assert found.low <= found.rate <= found.high
    moved = theil_sen(where, [value + level + slope * at for at, value in enumerate(values)])
    assert moved.rate == pytest.approx(found.rate + slope * 3600, rel=1e-6, abs=1.0)


def test_the_estimate_is_not_moved_by_a_quarter_of_wild_values() -> None:
    where = [float(at) for at in range(20)]
    values = [2.0 * at for at in range(20)]
    for at in (3, 8, 12, 17):
        values[at] = 1e9
    assert theil_sen(where, values).rate == pytest.approx(2.0 * 3600)
