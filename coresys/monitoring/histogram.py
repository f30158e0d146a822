"""Distributions in buckets of a bounded relative width, that threads record into without a lock.

The buckets are log-linear: each power of two is divided into 64 of equal width. A figure that is read from one (the
middle of it) is off by 1/128 of the value at most, 0.79 %: half a bucket is 1/256 of a power of two, whose values are
at least half of it. The layout is that of HdrHistogram (G. Tene) and of OpenTelemetry's exponential histograms, with
the relative error that DDSketch defines (Masson, Rim, Lee: "DDSketch", VLDB 2019); the bucket is found by ``frexp``,
so that all of a float's range has buckets. Subnormal numbers, below 2.3e-308, are as coarse as they are themselves.

Counts are exact, and so is what is merged: buckets are the same everywhere, and their counts are added. A bucket has
its upper edge in it, as the ``le`` of OpenMetrics has. Zero has a bucket of its own, of no width. Negative values have
the same buckets, mirrored. NaN and the infinities are no values: they are counted apart, in ``refused``.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import ceil, frexp, inf, ldexp

from coresys.monitoring.shards import Shards
from coresys.system_records import Distribution

RELATIVE_ERROR = 1 / 128
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)

# A key is the exponent times 256, plus the upper edge of the bucket in 1/128 of the power of two: 64 to 128, and -127
# to -64 for negative values, of which nothing can be as much as 256 apart.
_UNITS = 128
_STEP_BITS = 8


class _Shard:
    """What one thread recorded."""

    __slots__ = ("counts", "ident", "least", "most", "refused", "total")

    def __init__(self, ident: int = 0) -> None:
        self.ident = ident
        self.counts: dict[int, int] = {}
        self.total = 0.0
        self.least, self.most = inf, -inf
        self.refused = 0

    def copy(self) -> _Shard:
        """As it is at one moment: the dictionary is copied last, and nothing can come in before that."""
        new = _Shard()
        new.total, new.least, new.most, new.refused, new.counts = (
            self.total, self.least, self.most, self.refused, self.counts.copy(),
        )  # fmt: skip
        return new


def _merge(shards: Sequence[_Shard]) -> _Shard:
    merged = _Shard()
    counts = merged.counts
    for shard in shards:
        for key, count in shard.counts.items():
            counts[key] = counts.get(key, 0) + count
        merged.total += shard.total
        merged.least, merged.most = min(merged.least, shard.least), max(merged.most, shard.most)
        merged.refused += shard.refused
    return merged


class Histogram:
    """A distribution of values. Any thread may record; a signal's handler and a finalizer too, in the middle of it.

    >>> delays = Histogram("request.delay", unit="seconds")
    >>> for milliseconds in range(1, 101):
    ...     delays.record(milliseconds / 1000)
    >>> found = delays.distribution(quantiles=(0.5, 0.99))
    >>> found.count, found.least, found.most
    (100, 0.001, 0.1)
    >>> [(share, round(value, 3)) for share, value in found.quantiles]
    [(0.5, 0.05), (0.99, 0.099)]

    ``unit`` is said in words, in the base unit ("seconds", "bytes"): nothing is converted. A series takes about 100
    bytes for each bucket that was hit, in each thread that hit it; from a microsecond to a second there are 1,300.
    """

    __slots__ = ("_by_thread", "_shards", "component", "name", "unit")

    def __init__(self, name: str = "", *, unit: str = "", component: str = "") -> None:
        self.name, self.unit, self.component = name, unit, component
        self._shards: Shards[_Shard] = Shards(_Shard, _merge)
        self._by_thread = self._shards.by_thread

    def record(self, value: float) -> None:
        """Add a value. What is no number raises TypeError or ValueError, and is not recorded."""
        if value.__class__ is not float:  # then nothing of a user's is called by the arithmetic below
            try:
                value = float(value)
            except OverflowError:  # an int beyond all floats
                value = inf
        mantissa, exponent = frexp(value)
        try:
            key = (exponent << 8) + ceil(mantissa * 128.0)  # as _key, with what a name would cost
        except (ValueError, OverflowError):
            self._refuse()
            return
        try:
            shard = self._by_thread[get_ident()]
        except KeyError:
            shard = self._shards.mine()
        counts = shard.counts
        # From here on, see the invariants of ``shards``.
        try:
            counts[key] += 1
        except KeyError:
            # Not a defaultdict: a finalizer may come by while it makes its zero, and would be overwritten by it.
            counts.setdefault(key, 0)
            counts[key] += 1
        shard.total += value
        if value < shard.least:
            shard.least = value
        if value > shard.most:
            shard.most = value

    def _refuse(self) -> None:
        self._shards.mine().refused += 1

    def merge(self, other: Distribution) -> None:
        """Add what another histogram recorded, in another process perhaps."""
        shard = _Shard()
        for edge, count in other.buckets:
            key = _key(edge)
            shard.counts[key] = shard.counts.get(key, 0) + count
        shard.total, shard.refused = other.total, other.refused
        if other.count:
            shard.least, shard.most = other.least, other.most
        self._shards.add(shard)

    def distribution(self, quantiles: Iterable[float] = QUANTILES) -> Distribution:
        """Everything so far. Of a value that is just being recorded the count may be there before the sum.

        With no values the sum and the extremes are 0, and there are no quantiles.
        """
        whole = _merge([shard.copy() for shard in self._shards.all()])
        counts: dict[float, int] = {}
        for key, count in whole.counts.items():
            edge = _edge(key)
            counts[edge] = counts.get(edge, 0) + count  # a power of two ends one bucket and is one
        return _distribution(
            self, sorted(counts.items()), whole.total, whole.least, whole.most, whole.refused, quantiles
        )

    def __repr__(self) -> str:
        count = sum(sum(shard.counts.copy().values()) for shard in self._shards.all())
        return f"<Histogram {self.name or '(no name)'}: {count} values>"


def merged(first: Distribution, *others: Distribution) -> Distribution:
    """One distribution of several of the same thing: what one histogram would have that had recorded all of it.

    The name is the first one's, and so is the unit. Raises ValueError where another one has another unit.
    """
    whole = Histogram(first.name, unit=first.unit, component=first.component)
    for each in (first, *others):
        if each.unit != first.unit:
            raise ValueError(f"{first.name!r} is in {first.unit!r}, {each.name!r} in {each.unit!r}")
        whole.merge(each)
    return whole.distribution([share for share, _ in first.quantiles] or QUANTILES)


def quantile(distribution: Distribution, share: float) -> float:
    """The least value that ``share`` of all are not above, by rank; off by ``RELATIVE_ERROR`` of it at most.

    Raises ValueError where there are no values, or ``share`` is not from 0 to 1.
    """
    return _quantile(distribution, _ranks(distribution, share), share)


def between(distribution: Distribution, share: float) -> tuple[float, float]:
    """Between what that value is, which ``quantile`` tells the middle of: the edges of its bucket, or the extremes.

    Raises ValueError as ``quantile`` does.
    """
    edge = _edge_at(distribution, _ranks(distribution, share), share)
    return max(_below(edge, 1.0), distribution.least), min(edge, distribution.most)


def _ranks(distribution: Distribution, share: float) -> list[int]:
    if not 0 <= share <= 1:
        raise ValueError(f"a share is from 0 to 1, not {share!r}")
    if not distribution.count:
        raise ValueError(f"{distribution.name!r} has no values")
    return list(accumulate(count for _, count in distribution.buckets))


def _edge_at(distribution: Distribution, ranks: list[int], share: float) -> float:
    """The upper edge of the bucket that the value of that rank is in."""
    at = bisect_left(ranks, max(ceil(share * ranks[-1]), 1))
    return distribution.buckets[min(at, len(ranks) - 1)][0]


def _quantile(distribution: Distribution, ranks: list[int], share: float) -> float:
    middle = _below(_edge_at(distribution, ranks, share), 0.5)
    return min(max(middle, distribution.least), distribution.most)


def _distribution(
    of: Histogram,
    buckets: list[tuple[float, int]],
    total: float,
    least: float,
    most: float,
    refused: int,
    quantiles: Iterable[float],
) -> Distribution:
    count = sum(count for _, count in buckets)
    if not count:
        return Distribution(of.name, of.component, of.unit, 0, 0.0, 0.0, 0.0, refused=refused)
    bare = Distribution(of.name, of.component, of.unit, count, total, least, most, buckets=tuple(buckets))
    ranks = list(accumulate(count for _, count in buckets))
    found = tuple((share, _quantile(bare, ranks, share)) for share in quantiles)
    return Distribution(of.name, of.component, of.unit, count, total, least, most, found, tuple(buckets), refused)


def _key(value: float) -> int:
    mantissa, exponent = frexp(value)
    return (exponent << _STEP_BITS) + ceil(mantissa * _UNITS)


@lru_cache(4096)  # of one unit there are some hundreds in use, and a snapshot asks for all of them
def _edge(key: int) -> float:
    """The upper edge of a bucket, which is in it."""
    step = ((key + _UNITS - 1) & ((1 << _STEP_BITS) - 1)) - (_UNITS - 1)
    return _scaled(step / _UNITS, (key - step) >> _STEP_BITS)


def _below(edge: float, share: float) -> float:
    """So much of its width below the upper edge of a bucket: its middle (0.5), its lower edge (1.0)."""
    mantissa, exponent = frexp(edge)
    if edge == 0.0:
        return 0.0
    # Below a power of two buckets are half as wide; above one that is negative they are not.
    return _scaled((ceil(mantissa * _UNITS) - (share / 2 if mantissa == 0.5 else share)) / _UNITS, exponent)


def _scaled(mantissa: float, exponent: int) -> float:
    try:
        return ldexp(mantissa, exponent)
    except OverflowError:  # the outer edge of the last bucket
        return sys.float_info.max if mantissa > 0 else -sys.float_info.max


__all__ = ["QUANTILES", "RELATIVE_ERROR", "Histogram", "between", "merged", "quantile"]
