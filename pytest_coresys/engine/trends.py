"""Does what was read at the ends of rounds grow? From series to verdicts, for bytes, counts and shares. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from coresys.budgets.judge import NEAR_SHARE
from coresys.budgets.model import Limit, Status
from coresys.budgets.units import format_quantity
from coresys.monitoring import judge_growth

OFF = "its budget is off"
_HOUR = 3600.0
_NO_RATE = 2.0  # a count that grew by no more in all
_PARTS = 4
_FEWEST = 48  # readings: the second half has to be judged for itself
_LONGEST = 20.0  # times as long, to be recommended
_NICE = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0, 86400.0)


@dataclass(frozen=True, slots=True)
class Trend:
    """What a series comes to: ``value``, and the interval of its rate an hour from ``low`` to ``high``.

    ``value`` is that rate, or of shares the last of them; None if it was not measured, and then ``why`` says so.
    ``rate`` is the estimate, whatever it is worth.
    """

    status: Status
    value: float | None = None
    low: float = 0.0
    high: float = 0.0
    why: str | None = None
    rate: float = 0.0


def memory_trend(times: Sequence[float], values: Sequence[float], limit: Limit, level: float) -> Trend:
    """Bytes in use: over only if the whole interval is above the limit, within only if it is below."""
    if limit.maximum is None or limit.level == "off":
        return Trend("not_measured", why=OFF)
    found = judge_growth(times, values, limit=limit.maximum, confidence=1 - level)
    if len(times) < _FEWEST:
        why = f"too short: {len(times)} readings, one at the end of a round, and {_FEWEST} are needed"
        return Trend("not_measured", None, found.low, found.high, why, found.rate)
    if found.verdict == "growing" and found.low > limit.maximum:
        return Trend("over", found.rate, found.low, found.high, rate=found.rate)
    if found.verdict == "steady" and found.high < limit.maximum:
        near = limit.near if limit.near is not None else NEAR_SHARE * limit.maximum
        status: Status = "near" if found.rate >= near else "within"
        return Trend(status, found.rate, found.low, found.high, rate=found.rate)
    if found.low <= limit.maximum <= found.high:
        interval = f"{format_quantity(found.low, 'B/h')} to {format_quantity(found.high, 'B/h')}"
        why = f"too short: the limit of {format_quantity(limit.maximum, 'B/h')} is within the interval, {interval}"
    else:
        why = f"too short: {found.why}"
    return Trend("not_measured", None, found.low, found.high, why, found.rate)


def count_trend(times: Sequence[float], values: Sequence[float], allowed: float, level: float) -> Trend:
    """Counts, of which so many more an hour are allowed: over only if they grow faster, in each part of the time again.

    A pool that is filled grows once, however steeply.
    """
    seconds = times[-1] - times[0] if times else 0.0
    least = _NO_RATE * _HOUR / seconds if seconds else 0.0
    limit = max(allowed, least)
    found = judge_growth(times, values, limit=limit, confidence=1 - level)
    if found.verdict == "growing" and found.low > limit and rises(values) and len(times) >= _FEWEST:
        return Trend("over", found.rate, found.low, found.high, rate=found.rate)
    if found.verdict == "steady" and found.high < limit:
        return Trend("within", found.rate, found.low, found.high, rate=found.rate)
    why = "too few readings" if len(times) < _FEWEST else "no growth that repeats, and none ruled out"
    return Trend("not_measured", None, found.low, found.high, f"too short: {why}", found.rate)


def share_trend(times: Sequence[float], values: Sequence[float], limit: Limit, level: float) -> Trend:
    """Shares, such as of bytes stranded since the start: over only if they are above the limit and still rising.

    A large table that was let go once leaves holes, which are used again: that does not rise.
    """
    if limit.maximum is None or limit.level == "off":
        return Trend("not_measured", why=OFF)
    found = judge_growth(times, values, limit=0.0, confidence=1 - level)
    if len(times) < _FEWEST:
        return Trend("not_measured", None, found.low, found.high, "too short: too few readings", found.rate)
    last = values[-max(len(values) // _PARTS, 1) :]
    value = median(last)
    if min(values[len(values) // 2 :]) > limit.maximum and found.low > 0 and rises(values):
        return Trend("over", value, found.low, found.high, rate=found.rate)
    if value <= limit.maximum:
        return Trend("within", value, found.low, found.high, rate=found.rate)
    why = f"{format_quantity(value, 'ratio')}, and not seen to rise"
    return Trend("not_measured", None, found.low, found.high, f"too short: {why}", found.rate)


def rises(values: Sequence[float]) -> bool:
    """Whether the lowest of each quarter is above the lowest of the one before."""
    lows = [min(part) for part in _quarters(values)]
    return len(lows) == _PARTS and all(later > earlier for earlier, later in zip(lows, lows[1:], strict=False))


def rates_of_quarters(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """How fast it grew in each quarter of the readings, an hour, from the first reading of it to the next one's."""
    size = len(values) // _PARTS
    ends = [at * size for at in range(_PARTS)] + [len(values) - 1]
    return (
        []
        if not size
        else [
            (values[end] - values[begin]) / (times[end] - times[begin]) * _HOUR
            for begin, end in zip(ends, ends[1:], strict=False)
            if times[end] > times[begin]
        ]
    )


def _quarters(values: Sequence[float]) -> list[Sequence[float]]:
    size = len(values) // _PARTS
    ends = [at * size for at in range(_PARTS)] + [len(values)]
    return [values[begin:end] for begin, end in zip(ends, ends[1:], strict=False) if end > begin]


def time_needed(seconds: float, trend: Trend, maximum: float) -> float:
    """How long a soak might have to be to tell, in seconds: an interval narrows with the time to the power of 1.5."""
    width, distance = (trend.high - trend.low) / 2, abs(maximum - trend.rate)
    factor = (width / distance) ** (2 / 3) * 1.5 if width > 0 and distance > 0 else 4.0
    needed = seconds * min(max(factor, 1.5), _LONGEST)
    return next((nice for nice in _NICE if nice >= needed), _NICE[-1])
