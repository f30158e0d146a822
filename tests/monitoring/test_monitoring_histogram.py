"""Distributions: counts exact, quantiles within the stated error, and merging the same as having recorded it all."""

from __future__ import annotations

import math
import random
import sys
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monitoring_helping import no_threads_left  # noqa: F401  # autouse

from coresys.monitoring import RELATIVE_ERROR, Histogram, merged, quantile
from coresys.monitoring.export import bounds
from coresys.monitoring.histogram import between

LARGEST, TINIEST = sys.float_info.max, sys.float_info.min
normal = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
values = st.lists(normal, min_size=1, max_size=200)


def recorded(*given: float, unit: str = "seconds") -> Histogram:
    histogram = Histogram("h", unit=unit)
    for value in given:
        histogram.record(value)
    return histogram


@given(normal)
@settings(max_examples=500)
def test_one_value_is_its_own_bucket_within_the_error(value: float) -> None:
    found = recorded(value).distribution()
    ((edge, count),) = found.buckets
    assert (found.count, count, found.least, found.most, found.total) == (1, 1, value, value, value)
    assert value <= edge
    # Of a bucket whose other end is not known by the extremes, the middle is told.
    both = recorded(-LARGEST, value, LARGEST).distribution((0.5,))
    assert abs(both.quantiles[0][1] - value) <= abs(value) * RELATIVE_ERROR


@given(values, st.floats(0, 1))
@settings(max_examples=300)
def test_a_quantile_is_off_by_the_stated_error_at_most(given_values: list[float], share: float) -> None:
    found = recorded(*given_values).distribution()
    rank = max(math.ceil(share * len(given_values)), 1)
    true = sorted(given_values)[rank - 1]
    assert abs(quantile(found, share) - true) <= abs(true) * RELATIVE_ERROR


@given(values, values, values)
def test_merging_is_the_same_as_recording_everything(a: list[float], b: list[float], c: list[float]) -> None:
    parts = [recorded(*each).distribution() for each in (a, b, c)]
    whole, at_once = merged(*parts), recorded(*a, *b, *c).distribution()
    assert (whole.buckets, whole.count, whole.least, whole.most) == (
        at_once.buckets, at_once.count, at_once.least, at_once.most,
    )  # fmt: skip
    assert whole.quantiles == at_once.quantiles
    assert merged(merged(*parts[:2]), parts[2]).buckets == merged(parts[0], merged(*parts[1:])).buckets


@given(values)
def test_buckets_say_how_many_values_are_at_most_each_bound_exactly(given_values: list[float]) -> None:
    found = recorded(*given_values).distribution()
    for bound in (*bounds("seconds"), 0.0, -1.0, 65 / 128, 3.0):
        below = sum(count for edge, count in found.buckets if edge <= bound)
        assert below == sum(value <= bound for value in given_values)


@pytest.mark.parametrize(
    "value",
    [0.0, -0.0, 1.0, -1.0, 2.0**-1022, 2.0**1023, -(2.0**1023), LARGEST, TINIEST, 5e-324, -5e-324, 0.5, 1024],
)
def test_the_ends_of_the_range_and_powers_of_two_are_edges(value: float) -> None:
    found = recorded(value, value).distribution()
    assert found.buckets == ((float(value), 2),)
    assert found.quantiles[0][1] == value


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        (math.nan, 1),
        (math.inf, 1),
        (-math.inf, 1),
        (10**400, 1),
        (-(10**400), 1),
        (True, 0),
        (7, 0),
        (Fraction(1, 3), 0),
        (Decimal("0.1"), 0),
    ],
)
def test_what_is_no_value_is_counted_apart(value: float, refused: int) -> None:
    found = recorded(1.0, value).distribution()
    assert (found.refused, found.count) == (refused, 2 - refused)
    assert math.isfinite(found.total)


@pytest.mark.parametrize("value", ["1.5x", None, [], object()])
def test_what_is_no_number_raises_and_leaves_nothing(value: object) -> None:
    histogram = recorded(1.0)
    with pytest.raises((TypeError, ValueError)):
        histogram.record(value)  # type: ignore[arg-type]
    assert histogram.distribution() == recorded(1.0).distribution()


def test_nothing_recorded_is_no_quantile() -> None:
    empty = Histogram("h", unit="bytes").distribution()
    assert (empty.count, empty.total, empty.least, empty.most, empty.quantiles) == (0, 0.0, 0.0, 0.0, ())
    with pytest.raises(ValueError, match="'h' has no values"):
        quantile(empty, 0.5)
    assert merged(empty, recorded(3.0, unit="bytes").distribution()).least == 3.0


def test_a_share_is_from_0_to_1() -> None:
    found = recorded(1.0, 2.0, 3.0, 4.0).distribution()
    assert [round(quantile(found, share), 2) for share in (0, 0.25, 0.26, 0.75, 0.76, 1)] == pytest.approx(
        [1, 1, 2, 3, 4, 4], rel=RELATIVE_ERROR
    )
    for share in (-0.01, 1.01, math.nan):
        with pytest.raises(ValueError, match="from 0 to 1"):
            quantile(found, share)


def test_units_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="'h' is in 'seconds', 'h' in 'bytes'"):
        merged(recorded(1).distribution(), recorded(1, unit="bytes").distribution())


def test_merging_into_a_histogram_goes_on_from_there() -> None:
    histogram = recorded(1.0, math.nan)
    histogram.merge(recorded(2.0, math.inf).distribution())
    histogram.record(3.0)
    found = histogram.distribution()
    assert (found.count, found.total, found.least, found.most, found.refused) == (3, 6.0, 1.0, 3.0, 2)
    assert repr(histogram) == "<Histogram h: 3 values>"


def test_a_float_of_a_users_own_is_read_once_and_not_asked_again() -> None:
    class Odd(float):
        def __add__(self, other: object) -> float:
            raise AssertionError("called in the middle of recording")

        __radd__ = __lt__ = __gt__ = __mul__ = __add__  # type: ignore[assignment]

    assert recorded(Odd(2.5)).distribution().total == 2.5


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.95, 0.99, 1.0])
def test_the_value_of_a_rank_is_between_the_bounds_that_are_told(share: float) -> None:
    rng = random.Random(11)
    values = [rng.choice((-1, 1)) * rng.lognormvariate(0, 3) for _ in range(500)] + [0.0, 1.0, 2.0, -1.0, -0.5]
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    found = histogram.distribution(())
    exact = sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
    low, high = between(found, share)
    assert low <= exact <= high
    assert high - low <= abs(exact) / 32, "a bucket is 1/64 of a power of two"
    assert low <= quantile(found, share) <= high


def test_bounds_are_no_further_than_what_was_seen() -> None:
    histogram = Histogram()
    histogram.record(10.0)
    assert between(histogram.distribution(()), 0.99) == (10.0, 10.0)
    with pytest.raises(ValueError, match="from 0 to 1"):
        between(histogram.distribution(()), 1.5)
    with pytest.raises(ValueError, match="has no values"):
        between(Histogram("empty").distribution(()), 0.5)
