"""When to stop repeating, from the readings alone. Pure.

Invariant: "leak" is said only of a series that grew through as many repetitions as the weakest explanation without
a leak would need to be over (a cache that fills, a pool that grows to its size), and did not fade. What stays open
when the effort is spent is "unclear", which fails nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Literal

from coresys.measure.series import (
    beneath,
    beneath_stairs,
    fades,
    first_fall,
    highs,
    increments,
    is_even,
    judge_series,
    keeps_up,
    lows,
    may_rise,
    rises_evenly,
    settled,
    without_fall,
    without_jump,
    without_rare_steps,
)

Conclusion = Literal["more", "flat", "leak", "unclear", "too few", "ask"]

WARM_UP = 5
FEWEST = 9  # readings, below which a series shows nothing
SCREEN = 24
OFTEN = 0.5  # share of repetitions that show growth; below it, it comes rarely
_FADED_FOR_SURE = 96
_SLIGHT = 1.0  # bytes with each repetition: less than the smallest object in one run of ten; pytest's own come to 0.4
_OBJECT = 8.0  # bytes with each repetition, from third to third: less is no object in each, but caches that go on
_STEP = 512  # bytes, of which an interpreter's own caches make many
_FEWEST_RISES = 3  # below which nothing can be said to repeat


@dataclass(frozen=True, slots=True)
class Rule:
    """How many repetitions a measure needs before it may be called a leak.

    ``certain`` is enough for anybody. With ``least`` or more, *structure* is asked (who keeps it, and does that
    code ever let go of anything?), which may settle it earlier. ``events`` is how many of them showed more than ever
    before: a pool that is in need of one in 30 runs has few, however many the repetitions.
    """

    least: int
    certain: int
    events: int


# re keeps 512 patterns, and people's own caches hold some hundreds of entries; what is kept by something that is
# seen never to let go needs less (``needed``). Counted things live in pools of some tens.
MEMORY = Rule(least=60, certain=600, events=12)
BEYOND_BOUNDS = 1050  # repetitions: what people write is 1,000 or 1,024, where it is not some hundreds
COUNTED = Rule(least=36, certain=100, events=35)
# Pools of processes are as large as the machine, and filled at once; tasks have no pools.
_PROCESSORS = os.cpu_count() or 1
FEW = Rule(least=max(12, _PROCESSORS + 6), certain=max(36, _PROCESSORS + 20), events=max(11, _PROCESSORS + 5))

RULES: dict[str, Rule] = {
    "memory.growth": MEMORY,
    "threads.leaked": COUNTED,
    "descriptors.leaked": COUNTED,
    "processes.leaked": FEW,
    "tasks.leaked": FEW,
}


@dataclass(frozen=True, slots=True)
class Structure:
    """What is known of the thing that grows.

    ``only_grows``: a list that nothing in the code in sight takes from. ``may_end``: why it may come to an end that
    more repetitions would not show: a bound that was not reached, a time that did not pass. ``unseen``: that is a
    guess, for no holder was found, and more may show an end. ``releases``: code in sight takes entries out, or nothing
    is known of the holder. ``patient``: there is time for as many repetitions as people's bounds are large, a thousand,
    for there are ways of writing one that nobody sees.
    """

    only_grows: bool = False
    may_end: str | None = None
    unseen: bool = False
    releases: bool = True
    patient: bool = False

    def is_seen_through(self, repetitions: int) -> bool:
        """Whether there were so many, those included that the judged part of the series leaves out, as to tell."""
        return self.only_grows or not self.patient or repetitions >= BEYOND_BOUNDS

    @property
    def needed(self) -> float:
        """Repetitions that must have grown before this is a leak."""
        if self.may_end is not None:
            return float("inf")
        if self.only_grows:
            return MEMORY.least
        # A key space of 300 (sessions, users, file names) has filled by then, also when keys come at random.
        return MEMORY.certain if self.releases else 450


def _is_kept(values: Sequence[float], added: float) -> bool:
    """Whether most of what nearly every repetition added is still there: no sawtooth, however long its teeth.

    With teeth of a quarter of the series or more, one fall takes a quarter of all; with shorter ones little is left.
    Rare steps up don't count as what is left: a pool that fills beside a sawtooth would hide its falls. It has to be
    so in the later half too: of a window that moves on, all is left until it is full.
    """
    steps = increments(values, len(values))
    usual = 2 * median(steps)
    late = steps[len(steps) // 2 :]
    return (
        sum(min(step, usual) for step in steps) >= added / 2
        and sum(min(step, usual) for step in late) >= added / 4
        and min(steps) >= -added / 4
    )


def _falls(values: Sequence[float]) -> bool:
    """Whether more than one of eight windows shrank: a sawtooth, of which some teeth may look like growth."""
    return sum(step < 0 for step in increments(values, 8)) > 1


def _comes_rarely(values: Sequence[float], floor: float, slack: float) -> bool:
    """Whether a series only ever rose, and has not stopped: a leak in one of ten runs, by chance, looks like that.

    ``slack``: by how much a reading may be below the one before. Of memory, what an empty test adds was taken off.

    After the first 24 two events are no more to be told from what is made once and kept. From some hundred on one
    that stopped shows nothing new in its second half.
    """
    count = len(values)
    if not FEWEST <= count < MEMORY.certain:
        return False
    since = values[0] if count < _FADED_FOR_SURE else values[count // 2]
    return values[-1] - since > floor and min(increments(values, count)) >= -slack


def _is_open(values: Sequence[float], floor: float) -> bool:
    """Whether memory that does not grow, as it seems, may yet.

    A leak in one of 20 runs is one step up among the first 24. And what grows past half a KiB moves from the
    interpreter's allocator to malloc: one step down, after which it has to be seen growing anew.
    """
    count = len(values)
    if count < FEWEST:
        return False
    if count < _FADED_FOR_SURE and median(values[-3:]) - median(values[:3]) > max(floor, _STEP):
        return True
    beyond = judge_series(without_fall(values), floor=floor).trend
    if beyond == "fading":
        return count < _FADED_FOR_SURE
    return beyond != "flat" and count < MEMORY.certain


def _grows_since_a_fall(values: Sequence[float]) -> bool:
    """Whether fewer were there once, as where a pool is closed, and ever more since: what grows may have begun late."""
    falls = [at for at, step in enumerate(increments(values, len(values)), 1) if step < 0]
    return len(falls) == 1 and judge_series(values[falls[0] :]).trend == "growing"


def _stands_out(values: Sequence[float]) -> bool:
    """Whether growth is twice what could be told at all: what wanders may happen to wander upwards."""
    judged = judge_series(values)
    return judged.rate > 2 * judged.resolution


def _keeps_up(values: Sequence[float], enough: float, usual: Callable[[Sequence[float]], float] = median) -> bool:
    """As ``keeps_up``, or the second half alone, if that is enough: at first a cache may have filled beside a leak."""
    late = values[len(values) // 2 :]
    return keeps_up(values, usual) or (len(late) >= enough and keeps_up(late, usual))


def conclude(
    values: Sequence[float], rule: Rule, *, spent: bool, floor: float = 0.0, structure: Structure | None = None
) -> Conclusion:
    """What the readings after each repetition (warm-up left out) show so far.

    "ask" is said where a structure could settle it; callers without one let ``rule.certain`` decide.
    """
    count = len(values)
    if count < min(SCREEN, rule.certain) and not spent:
        return "more"
    if count < FEWEST:
        return "too few"
    # What fills a window that moves on may go on growing for a while after the first was let go of: what comes may be
    # larger than what goes. As long again shows it.
    window, even = 2 * first_fall(values) if rule is MEMORY else 0, True
    everything = values  # of which the late part alone may look even
    values = settled(values, floor)
    count = len(values)
    trend = judge_series(values, floor=floor).trend
    seen = highs(values)
    if rule is MEMORY:
        if trend != "growing" or not is_even(values):
            content = beneath_stairs(values) if without_rare_steps(values) is None else None
            if content is not None:
                values, count = content, len(content)
                trend = judge_series(values, floor=floor).trend
        if trend == "growing" and judge_series(without_jump(values), floor=floor).trend != "growing":
            trend = "unclear"  # all that is late of it is one container that moved
        later = values[count // 8 :]
        usual = without_rare_steps(later)
        if usual is not None and _is_kept(later, usual[-1]):
            if trend != "growing" and judge_series(usual).trend == "growing":
                values, trend = usual, "growing"
        elif at := lows(values):
            even = rises_evenly(values, at)
            if trend != "growing" or _falls(values):
                if may_rise(values, at) and not spent:
                    return "more"
                values = beneath(values, at)
                trend = judge_series(values).trend
                if structure is not None:
                    structure = replace(structure, releases=True)  # seen at a few points only: ask for more
    slight = max(floor, _SLIGHT * count / 2) if rule is MEMORY else floor
    slack = _SLIGHT if rule is MEMORY else 0.0
    if trend == "flat" and rule is not MEMORY and _grows_since_a_fall(values):
        trend = "unclear"
    may_grow = _comes_rarely(values, slight, slack) or (rule is MEMORY and trend == "flat" and _is_open(values, floor))
    if trend in ("flat", "fading") and may_grow and not spent:
        return "more"
    if trend == "fading":
        # Beside a cache that has filled a leak is small: it is seen once the second half begins after the filling.
        half = values[count // 2 :]
        late = judge_series(
            without_jump(half), floor=max(floor, _OBJECT * len(half)) if rule is MEMORY else floor
        ).trend
        if late == "growing" or (late != "flat" and not spent):
            trend = "unclear"
    if trend == "flat" or (trend == "fading" and count >= _FADED_FOR_SURE):
        return "flat"
    if trend == "growing" and count >= rule.least and seen >= rule.events and not _falls(values):
        if rule is not MEMORY:
            if (count >= rule.certain or spent) and _keeps_up(values, rule.certain, fmean):
                return "leak"
        elif structure is None:
            return "ask"
        elif structure.may_end is not None:
            # More repetitions would only fill it, but for what nobody saw: sqlite3 lets go of cursors by the hundred.
            return "more" if structure.unseen and len(everything) < rule.certain and not spent else "unclear"
        elif (
            count >= max(structure.needed, window if structure.releases else 0)
            and structure.is_seen_through(len(everything))
        ) and (
            (even and is_even(values) and _stands_out(values) and not fades(everything))
            if structure.releases
            else structure.only_grows or (_keeps_up(values, structure.needed) and not fades(everything))
        ):
            return "leak"
    if not spent:
        return "more"
    return "unclear" if sum(step > 0 for step in increments(values, count)) >= _FEWEST_RISES else "flat"
