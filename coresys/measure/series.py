"""Does a series of readings grow with every repetition? Pure arithmetic over one reading per repetition.

The rule (thirds, then quarters) separated leaky from cured code in the prototypes, where thresholds on a slope did
not: readings are not normal, they sit on plateaus with rare steps. A series *grows* when its last third lies
wholly above its first third, and is *steady* when the growth has not faded by the last quarter, so that a cache
which has filled, however late, is not called a leak.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from statistics import fmean, median, variance
from typing import Literal

Trend = Literal["flat", "growing", "fading", "unclear"]

# Late growth over early growth: below FADED it is a cache that filled, above STEADY it is as it was. Between them
# stand containers that double in size just then, and slow caches: more repetitions tell them apart.
FADED = 0.2
STEADY = 0.7
# Growth over the last eighth, over what the average would give: a cache that filled just now still shows well
# grown quarters, and stands still in its last eighth.
STILL = 0.3


@dataclass(frozen=True, slots=True)
class Judged:
    """What a series shows. ``rate`` is the growth per repetition; ``resolution`` the least that would have shown."""

    trend: Trend
    rate: float
    resolution: float


def judge_series(values: Sequence[float], *, floor: float = 0.0) -> Judged:
    """Judge readings taken after each repetition; growth of ``floor`` or less in all is noise."""
    count = len(values)
    resolution = math.ceil((_spread(values) + floor) / max(count, 1)) if count else math.inf
    if count < 9 or not _thirds_apart(values, floor):
        return Judged("flat", 0.0, resolution)
    quarters = _quarter_means(values)
    early, late = quarters[1] - quarters[0], quarters[3] - quarters[2]
    rate = (quarters[3] - quarters[0]) / (0.75 * count)
    share = late / early if early > 0 else math.inf
    if late <= 0 or share < FADED:
        return Judged("fading", rate, resolution)
    steady = share >= STEADY and _tail_growth(values) >= STILL * rate * (count // 8)
    # The lower of the two: a container that doubles late would have all of it charged to its last quarter.
    return Judged("growing" if steady else "unclear", min(rate, late / (0.25 * count)), resolution)


def _tail_growth(values: Sequence[float]) -> float:
    """Growth over the last eighth, from medians of three readings at either end."""
    start = len(values) - 1 - len(values) // 8
    return median(values[-3:]) - median(values[start - 1 : start + 2])


EVEN = 0.5
_NOT_FADED = 0.6  # of the mean: what the last two windows still grow by


def is_even(values: Sequence[float], windows: int = 8) -> bool:
    """Whether each of so many windows grew by half of what is usual, or was until then, or more.

    Growth that comes from filling (a thread's allocator cache, keys that come at random) falls off; a leak does not,
    and may well gather speed (each event is kept by every listener that was never removed). The usual is the median,
    since in one window a large container may have moved.
    """
    steps = increments(values, windows)
    usual = median(steps) if steps else 0.0
    if usual <= 0 or fmean(steps[-2:]) < _NOT_FADED * fmean(steps):
        return False  # in bursts, and less and less: threads that fill their caches on a busy machine
    return all(step > 0 and step >= EVEN * min(usual, median(steps[: at + 1])) for at, step in enumerate(steps))


_FEWEST_TO_FADE = 96  # repetitions
_BEYOND_CHANCE, _LATELY = 3.0, 2.0  # standard errors
_LESS, _STILL_LESS = 0.9, 0.98


def fades(values: Sequence[float]) -> bool:
    """Whether each repetition adds less and less, beyond chance: keys that come at random, of which more are known.

    Of n keys that come with equal chance, after k of them a share of exp(-k/n) is new (the coupon collector's), so that
    of a thousand keys the later half of 600 repetitions adds 0.74 of the earlier; a leak adds as much as ever. What
    each repetition adds is compared between the halves by its mean, in standard errors of the difference (Welch). It
    must be less without the first quarter too, and in the last of them than in the one before: beside a leak, a cache
    may have filled in the earlier. A step that is far above the usual, of a container that moved, counts as usual.
    """
    steps = increments(values, len(values))
    up = [step for step in steps if step > 0]
    if len(steps) < _FEWEST_TO_FADE or not up:
        return False
    most = 2 * median(up)
    usual = [min(max(step, -most), most) for step in steps]
    quarter = len(usual) // 4
    return (
        fmean(usual[-quarter:]) < _STILL_LESS * fmean(usual[-2 * quarter : -quarter])
        and _is_less(usual, _BEYOND_CHANCE)
        and _is_less(usual[quarter:], _LATELY)
    )


def _is_less(steps: Sequence[float], errors: float) -> bool:
    """Whether the later half of the steps is smaller than the earlier, by so many standard errors."""
    early, late = steps[: len(steps) // 2], steps[len(steps) // 2 :]
    before, after = fmean(early), fmean(late)
    error = math.sqrt(variance(early, before) / len(early) + variance(late, after) / len(late))
    return after < _LESS * before and before - after > errors * error


_KEPT_UP = 0.8


def keeps_up(values: Sequence[float], usual: Callable[[Sequence[float]], float] = median) -> bool:
    """Whether the later half grows nearly as fast as the earlier, by the usual one of four windows of each.

    Keys that come at random out of some hundreds fill a cache by less and less: by 0.6 from half to half where two
    thirds are known. ``usual`` is the median, which leaves out the window in which a container moved; for what can be
    counted, of which a window may see one or none, it is the mean.
    """
    steps = increments(values, 8)
    half = len(steps) // 2
    return half > 0 and usual(steps[half:]) >= _KEPT_UP * usual(steps[:half])


def settled(values: Sequence[float], floor: float = 0.0) -> Sequence[float]:
    """The second half alone, where it grows evenly and only the first keeps the whole from being seen to grow.

    A string that is added to moves from the interpreter's allocator to malloc at half a KiB, takes pieces that were
    freed before until it is too long for them, and from then on grows with every repetition. A half that shows as
    much as a whole series must is as good as one: what came before it was a longer warm-up.
    """
    late = values[len(values) // 2 :]
    if judge_series(values, floor=floor).trend == "growing" or judge_series(late, floor=floor).trend != "growing":
        return values
    return late if is_even(late) else values


def _thirds_apart(values: Sequence[float], floor: float) -> bool:
    third = len(values) // 3
    first, last = sorted(values[:third]), sorted(values[-third:])
    # One reading of each side may be an outlier: a temporary that outlived one reading must not hide a leak.
    spare = 1 if third >= 6 else 0
    return last[spare] - first[-1 - spare] > floor


def _quarter_means(values: Sequence[float]) -> tuple[float, float, float, float]:
    quarter = len(values) / 4
    edges = [round(quarter * i) for i in range(5)]
    parts = [fmean(values[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    return parts[0], parts[1], parts[2], parts[3]


def _spread(values: Sequence[float]) -> float:
    """Distance between the second lowest and second highest reading, growth at an even rate taken out."""
    if len(values) < 2:
        return 0.0
    slope = (values[-1] - values[0]) / (len(values) - 1)
    ordered = sorted(value - slope * at for at, value in enumerate(values))
    return ordered[-2] - ordered[1] if len(ordered) > 3 else 0.0


_NEARLY_ALL = 0.9


def without_rare_steps(values: Sequence[float]) -> list[float] | None:
    """The series of what nearly every repetition adds; None where there is no such thing.

    An interpreter fills caches of its own in rare steps of kilobytes (3.10 does so at the 1024th call of a function):
    next to them, 16 bytes in each repetition drown in sums, and stand out among steps.
    """
    steps = increments(values, len(values))
    if not steps:
        return None
    usual = median(steps)
    if usual <= 0 or sum(usual / 2 <= step <= 2 * usual for step in steps) < _NEARLY_ALL * len(steps):
        return None
    return list(accumulate((min(max(step, 0.0), 2 * usual) for step in steps), initial=0.0))


def without_fall(values: Sequence[float]) -> list[float]:
    """The series without its largest step down."""
    steps = list(increments(values, len(values)))
    if not steps:
        return list(values)
    steps[steps.index(min(steps))] = 0.0
    return list(accumulate(steps, initial=values[0]))


_JUMP = 3  # times the next largest


def without_jump(values: Sequence[float]) -> Sequence[float]:
    """The series without its largest step up, where no other is like it: a container that moved to a larger block.

    A buffer that only grows moves again and again, each time by as much as it may grow: its steps are like each other.
    """
    steps = list(increments(values, len(values)))
    up = sorted(step for step in steps if step > 0)
    if len(up) < 2 or up[-1] <= _JUMP * up[-2]:
        return values
    steps[steps.index(up[-1])] = 0.0
    return list(accumulate(steps, initial=values[0]))


_SPIKE = 20  # times what is usual between two readings


def without_spikes(values: Sequence[float], least: float = 0.0) -> list[float]:
    """The series, where one reading stands far from both its neighbours put between them.

    What something else held at that moment only (a piece of address space that another thread mapped and gave back)
    is a step up and a step down, of which the second looks like the fall of a sawtooth. ``least``: what the smaller of
    the two is, at least. Where the one is twice the other or more, it is no spike: something has changed as well.
    """
    cleared = list(values)
    most = max(least, _SPIKE * median([abs(step) for step in increments(values, len(values))] or [0.0]))
    for at in range(1, len(values) - 1):
        up, down = cleared[at] - cleared[at - 1], cleared[at + 1] - cleared[at]
        less, more = sorted((abs(up), abs(down)))
        if up * down < 0 and most < less and more < 2 * less:
            cleared[at] = (cleared[at - 1] + cleared[at + 1]) / 2
    return cleared


def highs(values: Sequence[float]) -> int:
    """How many readings were higher than any before: what goes up and down has few of them, whatever its length."""
    highest = list(accumulate(values, max))
    return sum(after > before for before, after in zip(highest, highest[1:], strict=False))


_FEWEST_STAIRS = 3
_ALIKE = 0.1


def beneath_stairs(values: Sequence[float]) -> list[float] | None:
    """What was in a container that grows ahead of need, as lists and text buffers do; None where none is to be seen.

    Each time that it is full it takes room for an eighth more, say: the readings stand still, and for longer each time.
    But every step pays for the repetitions until the next. Where the last steps, three or more in half of the series,
    are all of its growth there, pay for the same with each repetition, within a tenth, and none is overdue, the
    series of that is returned: from the first to the last of them. Events at random are not as regular.
    """
    steps = increments(values, len(values))
    events: list[int] = []  # the latest first
    least = max(steps[len(steps) // 2 :], default=0.0) / 2
    for at in range(len(steps) - 1, -1, -1):
        if least <= 0 or steps[at] <= -least:
            break  # something was let go of
        if steps[at] >= least:
            events.append(at)
            least = min(least, steps[at] / 2)
    prices = [steps[at] / (following - at) for following, at in zip(events, events[1:], strict=False)]
    if len(prices) < _FEWEST_STAIRS:
        return None
    usual = median(prices[:_FEWEST_STAIRS])
    odd = [n for n, price in enumerate(prices) if abs(price - usual) > _ALIKE * usual]
    spare = 1 if odd and prices[odd[0]] > usual else 0  # one at which something else was kept too, once
    alike = odd[spare] if len(odd) > spare else len(prices)
    last, first = events[0], events[alike]
    grown, paid = values[last] - values[first], sum(steps[at] for at in events[1 : alike + 1])
    overdue = (len(steps) - last) * usual > (1 + _ALIKE) * steps[last]
    if alike - spare < _FEWEST_STAIRS or overdue or 2 * first > len(steps) or abs(grown - paid) > _ALIKE * paid:
        return None
    spread = (
        [min(price, (1 + _ALIKE) * usual)] * (following - at)
        for following, at, price in zip(events, events[1:], prices[:alike], strict=False)
    )
    return list(accumulate(reversed(list(chain.from_iterable(spread))), initial=0.0))


_FEWEST_FALLS = 3


def first_fall(values: Sequence[float]) -> int:
    """How many repetitions passed before more was let go of than was added; 0 where that is seldom or never."""
    steps = increments(values, len(values))
    usual = median([step for step in steps if step > 0] or [0.0])
    falls = [at for at, step in enumerate(steps, 1) if step < -usual / 2]
    return falls[0] if usual and len(falls) >= _FEWEST_FALLS else 0


# A sawtooth, of which nearly every repetition adds something and a rare one takes it away: a database module that
# drops dead cursors by the hundred, a buffer written out when it is full. What is kept beneath is seen from low to low.
_FALL = 8  # times what one repetition adds
_FEWEST_LOWS = 6
_ENOUGH_LOWS = 12


def lows(values: Sequence[float]) -> list[int]:
    """Where the readings after each fall of a sawtooth are; none where it is no sawtooth."""
    steps = increments(values, len(values))
    usual = median(steps) if steps else 0.0
    if usual <= 0 or sum(step > 0 for step in steps) < _NEARLY_ALL * len(steps):
        return []
    return [at for at, step in enumerate(steps, 1) if step < -_FALL * usual]


def may_rise(values: Sequence[float], at: Sequence[int]) -> bool:
    """Whether the lows of a sawtooth rise, or may yet, and are too few to be sure."""
    return 0 < len(at) < _ENOUGH_LOWS and (len(at) < 4 or values[at[-1]] > values[at[0]])


def beneath(values: Sequence[float], at: Sequence[int]) -> list[float]:
    """What a sawtooth stands on: the line through its lows, from the first to the last of them.

    Empty where there are too few to tell, or where they don't rise by several times what one repetition adds: what
    stays in a buffer when it was written out differs by as much.
    """
    usual = median(increments(values, len(values))) if at else 0.0
    if len(at) < _FEWEST_LOWS or values[at[-1]] - values[at[0]] <= _FALL * usual:
        return []
    line: list[float] = []
    for start, end in zip(at, at[1:], strict=False):
        slope = (values[end] - values[start]) / (end - start)
        line += [values[start] + slope * step for step in range(end - start)]
    return [*line, values[at[-1]]]


_PARTS = 4
_FROM_THE_START = 0.15  # of what is usual: what grows by ever more grows at first too


def rises_evenly(values: Sequence[float], at: Sequence[int]) -> bool:
    """Whether a sawtooth rises, as far as is seen, in each of four parts by half of what is usual, or was until then.

    Each low may be off by what one repetition adds. A part has two lows or more: what is kept may come in pages, none
    at one low and one at the next. A cache of the C library's that fills late lifts those after it, and none before.
    """
    parts = min(_PARTS, (len(at) - 1) // 2)
    if parts < 1:
        return True
    edges = [at[round(part * (len(at) - 1) / parts)] for part in range(parts + 1)]
    steps = [(values[end] - values[start]) / (end - start) for start, end in zip(edges, edges[1:], strict=False)]
    usual, spare = median(steps), median(increments(values, len(values))) * parts / (at[-1] - at[0])
    if steps[0] < _FROM_THE_START * usual - spare:
        return False
    return all(step >= EVEN * min(usual, median(steps[: part + 1])) - spare for part, step in enumerate(steps))


def increments(values: Sequence[float], windows: int) -> tuple[float, ...]:
    """Growth per repetition in each of so many windows of equal length: the series that reports draw."""
    count = len(values)
    if count < 2:
        return ()
    windows = min(windows, count - 1)
    edges = [round(i * (count - 1) / windows) for i in range(windows + 1)]
    return tuple((values[b] - values[a]) / (b - a) for a, b in zip(edges, edges[1:], strict=False))


def event_share(values: Sequence[float]) -> float:
    """Share of repetitions after which the reading was higher than ever before: how often the leak leaks."""
    return highs(values) / max(len(values) - 1, 1)
