"""Does memory in use grow by more than a limit? Pure arithmetic over readings and their times; three answers.

*Block means.* Readings that follow one another are alike (of memory counters, lag-1 correlation is 0.9 and more at
5 Hz), so an interval made of single readings is far too narrow. They are summed up in 20 blocks of equal time, by the
mean of the middle half of each, so that what was there for one reading only does not count. What correlation is left
between blocks widens the interval, as in Yue and Wang, "The Mann-Kendall test modified by effective sample size"
(Water Resources Management, 2004).

*Theil-Sen.* The estimate is the median of the slopes between all pairs of blocks, and its interval goes by the rank of
those slopes, after Kendall's statistic (Theil, 1950; P. K. Sen, "Estimates of the regression coefficient based on
Kendall's tau", JASA, 1968). No bell curve is assumed.

*Three answers.* ``growing``: the whole interval is above the limit. ``steady``: it is below. Else ``unclear``, for
which more time is the cure. With the noise of CPython's own allocator (1.7 KiB), 2 MiB/h show in a minute; with that of
malloc (12 KiB) they take five.

*What is no noise.* One step up (a table that was made, a container that moved) is taken out, and told in ``steps_out``;
two are unclear, three or more are a way to grow. Memory that falls again and again (a buffer that is written out, the
collector) is judged by its lows. What grew at first and then stood still was a warm-up: the second half decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from statistics import NormalDist, fmean, median
from typing import NamedTuple

from coresys.system_records import GrowthVerdict

LIMIT = 1024.0 * 1024.0  # bytes per hour
_HOUR = 3600.0
_FEWEST_READINGS = 24
_FEWEST_BLOCKS = 8
# A difference of neighbouring blocks is a step when it is so many times what is usual, and a page at least.
_STEP = 8.0
_LEAST_STEP = 4096.0
_BESIDE = 2.0  # times what is usual: a step in the middle of a block is spread over two differences
_TO_SIGMA = 1.4826  # from the median of absolute deviations, for a bell curve
_MOST_ALIKE = 0.6  # what 20 blocks show is uncertain itself: more would make intervals useless by chance
# What the second half grows by, at most, where there may have been a warm-up: of the limit, and of the first half.
_FADED = 0.5
_FALLEN_OFF = 0.35
_FEWEST_LOWS = 4


class _Interval(NamedTuple):
    low: float
    rate: float
    high: float

    def verdict(self, limit: float) -> str:
        return "growing" if self.low > limit else "steady" if self.high < limit else "unclear"


class _Step(NamedTuple):
    at: int  # the difference that it is in
    size: float


def judge_growth(
    times: Sequence[float],
    values: Sequence[float],
    *,
    limit: float = LIMIT,
    blocks: int = 20,
    confidence: float = 0.95,
    warm_up: float = 0.0,
) -> GrowthVerdict:
    """Judge readings of bytes in use (``values``) at ``times`` in seconds, oldest first.

    ``limit`` is in bytes per hour. ``blocks`` are what readings are summed up in, 8 at least. ``confidence`` is that of
    the two-sided interval. ``warm_up`` seconds at the beginning are not looked at. Raises ValueError for series of
    unequal length, fewer blocks, or a confidence that is not between 0 and 1.
    """
    if len(times) != len(values):
        raise ValueError(f"{len(times)} times, and {len(values)} values")
    if blocks < _FEWEST_BLOCKS:
        raise ValueError(f"at least {_FEWEST_BLOCKS} blocks, not {blocks}")
    z = NormalDist().inv_cdf((1 + confidence) / 2) if 0 < confidence < 1 else 0.0
    if not z > 0:
        raise ValueError(f"a confidence is between 0 and 1, not {confidence!r}")
    if warm_up and times:
        begin = next((at for at, time in enumerate(times) if time >= times[0] + warm_up), len(times))
        times, values = times[begin:], values[begin:]
    return _judge(times, values, limit, blocks, z)


def _judge(
    times: Sequence[float], values: Sequence[float], limit: float, blocks: int, z: float, *, again: bool = True
) -> GrowthVerdict:
    seconds = times[-1] - times[0] if times else 0.0
    where, means = _block_means(times, values, blocks)
    if len(values) < _FEWEST_READINGS or len(means) < _FEWEST_BLOCKS:
        return GrowthVerdict("unclear", 0.0, 0.0, 0.0, limit, len(values), seconds, "too few readings")
    whole = theil_sen(where, means, z)
    steps = _steps(means)
    rest = theil_sen(where, _without(means, steps), z) if steps else whole
    found, why = _weigh(whole, rest, steps, where, means, limit)
    used = whole if found == "growing" and rest.verdict(limit) != "growing" else rest
    taken_out = tuple(step.size for step in steps) if used is rest else ()
    if found != "steady" and again:
        late = len(times) // 2
        # The second half in blocks of its own, half as long.
        second = _judge(times[late:], values[late:], limit, blocks, z, again=False)
        half = len(means) // 2
        first = theil_sen(where[:half], (_without(means, steps) if used is rest else means)[:half], z)
        if second.verdict == "steady" and not second.steps_out and first.rate > second.high:
            return replace(second, why=f"{_rate(first.rate)} in the first half, and then no more: a warm-up")
        if found == "growing" and (second.rate < _FADED * limit or second.rate < _FALLEN_OFF * first.rate):
            found, why = "unclear", f"{_rate(first.rate)} in the first half, {_rate(second.rate)} in the second"
    if found == "unclear" and not why:
        why = "the interval has the limit in it: more time is needed"
    return GrowthVerdict(found, used.rate, used.low, used.high, limit, len(values), seconds, why, taken_out)


def _rate(rate: float) -> str:
    return f"{rate / LIMIT:.2f} MiB/h"


def _weigh(
    whole: _Interval, rest: _Interval, steps: list[_Step], where: list[float], means: list[float], limit: float
) -> tuple[str, str]:
    """The verdict, and why, from the whole series and what it is without its steps."""
    falls = [step for step in steps if step.size < 0]
    rises = [step for step in steps if step.size > 0]
    of_whole, of_rest = whole.verdict(limit), rest.verdict(limit)
    if len(falls) >= 2 and of_rest != "steady":
        return _by_lows(of_whole, falls, where, means, limit)
    if of_rest == "growing":
        if falls and of_whole != "growing":
            return "unclear", "it fell once, and grows but for that"
        return "growing", ""
    net = sum(step.size for step in steps)
    if of_rest == "unclear" or len(rises) < 2 or net <= 0:
        return of_rest, ""
    if len(rises) == 2 or of_whole != "growing":
        return "unclear", f"{len(rises)} steps up, and nothing else"
    return "growing", f"in {len(rises)} steps"


def _by_lows(
    of_whole: str, falls: list[_Step], where: list[float], means: list[float], limit: float
) -> tuple[str, str]:
    """A sawtooth grows if what it falls back to rises."""
    lows = [min(range(fall.at + 1, min(fall.at + 3, len(means))), key=means.__getitem__) for fall in falls]
    rates = [
        (means[later] - means[earlier]) / (where[later] - where[earlier]) * _HOUR
        for earlier, later in zip(lows, lows[1:], strict=False)
    ]
    usual = median(rates)
    if of_whole == "steady" or (len(lows) >= _FEWEST_LOWS and usual < limit and of_whole != "growing"):
        return "steady" if of_whole == "steady" else "unclear", f"it falls again and again, {len(falls)} times"
    if of_whole == "growing" and len(lows) >= _FEWEST_LOWS and min(rates) > limit:
        return "growing", f"its lows rise, after each of {len(falls)} falls"
    return "unclear", f"it falls again and again, {len(falls)} times: more time is needed"


def theil_sen(where: Sequence[float], values: Sequence[float], z: float = 1.96) -> _Interval:
    """Median of the slopes between all pairs, per hour, and its interval at ``z`` standard deviations.

    ``where`` is in seconds, rising. The interval allows for values that are like their neighbours.
    """
    count = len(values)
    slopes = sorted(
        (values[b] - values[a]) / (where[b] - where[a])
        for b in range(1, count)
        for a in range(b)
        if where[b] > where[a]
    )
    rate = median(slopes)
    spread = z * sqrt(count * (count - 1) * (2 * count + 5) / 18 * _inflation(where, values, rate))
    low = max(round((len(slopes) - spread) / 2), 0)
    high = min(round((len(slopes) + spread) / 2), len(slopes) - 1)
    return _Interval(slopes[low] * _HOUR, rate * _HOUR, slopes[high] * _HOUR)


def _inflation(where: Sequence[float], values: Sequence[float], rate: float) -> float:
    """How much the variance grows by what neighbouring values have in common, once the trend is taken out."""
    count = len(values)
    left = [value - rate * at for at, value in zip(where, values, strict=True)]
    mean = fmean(left)
    left = [each - mean for each in left]
    whole = sum(each * each for each in left)
    if whole <= 0:
        return 1.0
    alike = sum(a * b for a, b in zip(left, left[1:], strict=False)) / whole
    # What was fitted to so few looks less alike than it is (Kendall's correction, for a trend).
    alike = min(max(alike + (2 + 4 * alike) / count, 0.0), _MOST_ALIKE)
    return (1 + alike) / (1 - alike)


def _block_means(times: Sequence[float], values: Sequence[float], blocks: int) -> tuple[list[float], list[float]]:
    """Mean time of each block, and mean value of its middle half; blocks without a reading are left out."""
    if not times or times[-1] <= times[0]:
        return [], []
    length = (times[-1] - times[0]) / blocks
    where, means = [], []
    begin = 0
    for block in range(1, blocks + 1):
        end = begin
        until = times[0] + block * length if block < blocks else times[-1]
        while end < len(times) and (times[end] < until or block == blocks):
            end += 1
        if end > begin:
            ordered = sorted(values[begin:end])
            cut = len(ordered) // 4
            where.append(fmean(times[begin:end]))
            means.append(fmean(ordered[cut : len(ordered) - cut]))
        begin = end
    return where, means


def _steps(means: Sequence[float]) -> list[_Step]:
    """Differences of neighbouring blocks that stand out, by one or by two; more in a row are a way up, or down."""
    differences, usual, sigma = _differences(means)
    least = max(_STEP * sigma, _LEAST_STEP)
    steps: list[_Step] = []
    at = 0
    while at < len(differences):
        over = at
        while over < len(differences) and _stands_out(differences[over] - usual, least, differences[at] - usual):
            over += 1
        if at < over <= at + 2:
            largest = max(range(at, over), key=lambda each: abs(differences[each] - usual))
            steps.append(_Step(largest, sum(each - usual for each in differences[at:over])))
        at = max(over, at + 1)
    return steps


def _stands_out(difference: float, least: float, first: float) -> bool:
    return abs(difference) >= least and (difference > 0) == (first > 0)


def _differences(means: Sequence[float]) -> tuple[list[float], float, float]:
    """Those of neighbouring blocks, what is usual among them, and how far they are from that."""
    differences = [after - before for before, after in zip(means, means[1:], strict=False)]
    usual = median(differences)
    return differences, usual, _TO_SIGMA * median([abs(each - usual) for each in differences])


def _without(means: Sequence[float], steps: Sequence[_Step]) -> list[float]:
    """The series with its steps taken out: a difference that is one becomes what is usual, and so do those beside it
    that go the same way."""
    differences, usual, sigma = _differences(means)
    for step in steps:
        for at in (step.at - 1, step.at, step.at + 1):
            if 0 <= at < len(differences) and _stands_out(differences[at] - usual, _BESIDE * sigma, step.size):
                differences[at] = usual
    values = [means[0]]
    for difference in differences:
        values.append(values[-1] + difference)
    return values


__all__ = ["LIMIT", "judge_growth", "theil_sen"]
