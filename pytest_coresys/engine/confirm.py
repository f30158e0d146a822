"""Repeat one test and read the counters after each repetition, until every measure is settled or time is up."""

from __future__ import annotations

import gc
import math
import sys
import threading
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from coresys.clock import monotonic, pauses
from coresys.measure import meters
from coresys.measure.leftovers import KINDS
from coresys.measure.malloccache import CacheReader
from coresys.measure.reserved import Reserve
from coresys.measure.series import Judged, beneath, event_share, increments, judge_series, lows, settled, without_spikes
from pytest_coresys.engine import repeat
from pytest_coresys.engine.effort import Allowance
from pytest_coresys.measures import GROWTH

ASKING = 1.0  # seconds, about, to find out what keeps a thing that grows, in a heap of some 100,000 objects
_ENDING = 0.02  # seconds that a thread which has ended may be listed for
_GRACE = 1.0  # seconds that threads and processes get to end, waited only where some are left
_WHOLE = 0.75  # of a thread or descriptor with each repetition: one, of which a few were late
# What may end by itself: whether it does so in time is told of so many, from no more repetitions than that.
_THAT_MAY_END = ("threads.leaked", "processes.leaked")
_TO_OUTLIVE, _MOST_TO_OUTLIVE, _FEWEST_TO_OUTLIVE = 4, 40, 2
_REPLACED = "as many older ones ended meanwhile, though a second after their test they had not"
_BYTES_CAP = 256 * 1024 * 1024

RunOnce = Callable[[], str | None]  # None, or why the repetition did not go as the first run did


# How many there are now, of what can be counted.
COUNT: dict[str, Callable[[], int]] = {
    "threads.leaked": lambda: meters.thread_count(),
    "descriptors.leaked": lambda: meters.descriptor_count(),
    "processes.leaked": lambda: len(meters.children()),
    "tasks.leaked": lambda: len(meters.pending_tasks()),
}


@dataclass(frozen=True, slots=True)
class Control:
    """What an empty test keeps in each repetition, by pytest's own doing, and how far its readings wander (bytes)."""

    rate: float = 0.0
    noise: float = 0.0


@dataclass(slots=True)
class Confirmed:
    """What the repetitions showed: for each key its conclusion, rate, resolution and series."""

    repetitions: int = 0
    problem: str | None = None
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)


class Readings:
    """Counters of this process, one array for each key, made before the first repetition.

    ``set_aside`` tells how many bytes there are by now that are not looked for.
    """

    def __init__(self, capacity: int, set_aside: Callable[[], int] = int) -> None:
        self._memory, self._capacity = meters.MemoryMeter(), capacity
        self._cached = CacheReader()  # what it holds is free, and may be so for hundreds of repetitions
        self.values = {key: array("q", bytes(8 * capacity)) for key in GROWTH}
        self._left_out = dict.fromkeys(GROWTH, 0)
        self._set_aside = set_aside
        # A thread maps 8 MB of stack and now and then a 64 MB reserve, and uses next to nothing of them. What an arena
        # takes from its reserve is malloc's from then on, so that looking now and then would hide it.
        self._reserve = Reserve(step=1)
        self._unknown = 0  # threads that Python knows nothing of, at the last reading
        self.count = 0

    def take(self) -> None:
        """Collect garbage, then read. A cycle is no leak."""
        for key, value in zip(GROWTH, self._row(), strict=True):
            self.values[key][self.count] = value - self._left_out[key]
        self.count += 1

    def leave_out(self, keys: Collection[str] = GROWTH) -> None:
        """Count nothing of what happened since the last reading: that was not repetitions, or not like others."""
        for key, value in zip(GROWTH, self._row(), strict=True):
            if key in keys:
                self._left_out[key] = value - self.values[key][self.count - 1]

    def _row(self) -> tuple[int, ...]:
        meters.collect()
        self._let_threads_end()
        memory = self._memory.read()
        return (
            memory.in_use - self._cached.read() - self._reserve.at(memory.mapped) - self._set_aside(),
            meters.thread_count(),
            meters.descriptor_count(),
            len(meters.children()),
            len(meters.pending_tasks()),
        )

    def _let_threads_end(self) -> None:
        """Threads that somebody joined are listed for some microseconds more, and have memory from malloc so long."""
        unknown = meters.thread_count() - threading.active_count()
        if unknown > self._unknown:
            for _ in pauses(monotonic() + _ENDING, 0.0002):
                unknown = meters.thread_count() - threading.active_count()
                if unknown <= self._unknown:
                    break
        self._unknown = unknown

    def series(self, key: str, rate: float = 0.0) -> list[float]:
        """The readings of a key, less so much a repetition."""
        values = self.values[key][: self.count]
        return [value - rate * at for at, value in enumerate(values)]

    def is_full(self) -> bool:
        return self.count == self._capacity

    def close(self) -> None:
        self._memory.close()


_OF_THE_LAST_FAILURE = ("last_exc", "last_type", "last_value", "last_traceback")
# What was convicted has to go on: for so many repetitions, fewer where they take long, at half of its rate.
_TO_GO_ON, _FEWEST_TO_GO_ON = 24, 8
_SHARE_TO_GO_ON, _SECONDS_TO_GO_ON = 0.05, 0.2
_STILL = 0.5
_WINDOW = 20
_WINDOWS = 10


def measure_control(run_once: RunOnce) -> Control | None:
    """What repeating an empty test leaves behind, once the process has warmed to it.

    None if it does not pass here, where hooks of others want something of each test. The first repetitions of a
    process wander by kilobytes, with rare steps, so the noise is the median over the spreads of windows, and the rate
    that of the last half.
    """
    readings = Readings(_WINDOW * _WINDOWS)
    for _ in range(_WINDOW * _WINDOWS):
        if run_once() is not None:
            readings.close()
            return None
        readings.take()
    values = readings.series("memory.growth")
    readings.close()
    windows = [values[at : at + _WINDOW] for at in range(0, len(values), _WINDOW)]
    judged = judge_series(values[len(values) // 2 :])
    return Control(
        rate=max(judged.rate, 0.0) if judged.trend == "growing" else 0.0,
        noise=median(max(window) - min(window) for window in windows[len(windows) // 2 :]),
    )


class Confirmation:
    """The repetitions of one test in this process. ``ask`` looks for the structure behind growing memory.

    ``now`` is the clock by which its time is measured; ``set_aside`` are bytes so far that are not looked for;
    ``left`` are measures of which the first run left something.
    """

    def __init__(
        self,
        run_once: RunOnce,
        *,
        most: int,
        allowed: Allowance,
        control: Control,
        ask: Callable[[float, float], repeat.Structure] | None = None,
        progress: Callable[[int], None] | None = None,
        now: Callable[[], float] | None = None,
        set_aside: Callable[[], int] = int,
        left: Collection[str] = (),
    ) -> None:
        self._now = now or monotonic
        self._left_at_first = left
        self._set_aside = set_aside
        self._run_once, self._most, self._control = run_once, most, control
        self._ask, self._progress = ask, progress
        self._began = begin = self._now()
        self._began_by_the_wall = monotonic()
        self._deadline, self._if_growing = begin + allowed.seconds, begin + allowed.if_growing
        self._may_ask_until = begin + allowed.left - ASKING / 2
        self._structure: repeat.Structure | None = None if ask else repeat.Structure()
        self._conclusions = dict.fromkeys(GROWTH, "more")
        self._ended: set[str] = set()  # keys of what took a moment to end, which is not waited for again
        self._replaced: dict[str, float] = {}  # of what others end for: how many a repetition leaves for a while
        self._along = False  # memory is convicted for what it grows along with
        self._fastest = math.inf  # seconds, of the repetitions before the first reading
        self._warmed = 0  # of those
        self._pace = 0.0  # seconds a repetition, since the last look
        self._problem: str | None = None  # of a repetition that nothing was read after

    def run(self) -> Confirmed:
        """Warm up, then repeat until each measure is settled."""
        result = Confirmed()
        # What is garbage by now stays as it is: collecting a large heap takes as long as many repetitions. But some
        # tests look whether what the last run left was collected.
        gc.freeze()  # nobody else looks at the collector's generations: a child, or the last test of a process
        warm_up = min(repeat.WARM_UP, self._most)
        self._readings = Readings(self._most - warm_up + 1, self._set_aside)
        result.problem = self._warm(1)
        if result.problem and warm_up > 1:
            for name in _OF_THE_LAST_FAILURE:  # which holds all that was local to it
                vars(sys).pop(name, None)
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            result.problem = self._warm(1)
            warm_up -= 1
        result.problem = result.problem or self._warm(warm_up - 1)
        result.problem = result.problem or self._repeat() or self._problem
        if not result.problem:
            self._doubt_what_is_flat()
            result.problem = self._problem
        if result.problem:
            return result
        result.repetitions = self._readings.count - 1 + self._warmed
        result.keys = {key: self._result(key) for key in GROWTH}
        return result

    def _warm(self, repetitions: int) -> str | None:
        for _ in range(repetitions):
            if self._takes_too_long(more=repetitions):
                break
            began = self._now()
            problem = self._run_once()
            if problem:
                return problem
            self._fastest = min(self._fastest, self._now() - began)
            self._warmed += 1
        return None

    def _takes_too_long(self, more: int = 0) -> bool:
        """Whether all that is allowed comes to fewer repetitions than show anything: then others may have it."""
        needed = more + repeat.FEWEST - self._readings.count
        return needed > 0 < self._warmed and self._fastest * needed > max(self._deadline - self._now(), 0.0)

    def _repeat(self) -> str | None:
        self._readings.take()
        self._began = checked = self._now()
        self._began_by_the_wall = monotonic()
        checkpoints = _checkpoints()
        check_at, checked_at = next(checkpoints), 0
        while "more" in self._conclusions.values() and self._problem is None:
            count = self._readings.count
            spent = self._readings.is_full() or self._is_late() or self._too_much() or self._takes_too_long()
            if count >= check_at or spent:
                self._pace = (self._now() - checked) / max(count - checked_at, 1)
                self._settle(spent)
                check_at, checked, checked_at = next(checkpoints), self._now(), count
                if self._progress is not None:
                    self._progress(count)
                # Judging keeps some hundred bytes (malloc's cache, code that runs for the first time), or frees them.
                self._readings.leave_out(("memory.growth",))
                continue
            problem = self._run_once()
            if problem:
                return problem
            self._readings.take()
        return None

    def _is_late(self) -> bool:
        now = self._now()
        if now > self._deadline < self._if_growing and any(self._judged(key).trend != "flat" for key in GROWTH):
            self._deadline = self._if_growing
        return now > self._deadline

    def _settle(self, spent: bool) -> None:
        for key, conclusion in self._conclusions.items():
            # What seemed flat at first may be seen to rise, if rarely, in repetitions that others were in need of.
            if conclusion in ("more", "flat") and key not in self._ended:
                self._conclusions[key] = self._conclude(key, spent)
        others = [conclusion for key, conclusion in self._conclusions.items() if key != "memory.growth"]
        memory = self._conclusions["memory.growth"]
        # Memory that grows along with leaked threads or sockets is theirs: no cache, whose filling were to be awaited.
        if "leak" in others and memory in ("more", "unclear") and self._judged("memory.growth").trend == "growing":
            self._conclusions["memory.growth"] = "leak"
            self._along = True

    def _conclude(self, key: str, spent: bool) -> str:
        conclusion = self._look(key, spent)
        if conclusion == "ask" and not spent and self._is_soon_certain(repeat.RULES[key]):
            return "more"
        if conclusion == "ask" and self._now() > self._may_ask_until:
            return "unclear"
        if conclusion == "ask":
            assert self._ask is not None
            self._structure = self._ask(self._judged(key).rate, self._often(key))
            # What the tracer left in caches goes in the next repetitions; it would be read as a step down.
            self._problem = self._warm(repeat.WARM_UP)
            self._readings.leave_out()
            conclusion = self._look(key, spent or self._is_late())
        if conclusion == "leak" and key == "memory.growth" and not self._goes_on():
            return "unclear" if spent or self._readings.is_full() else "more"
        return self._of_what_may_end(key) if conclusion == "leak" and key in _THAT_MAY_END else conclusion

    def _goes_on(self) -> bool:
        """Whether memory that grew in most repetitions grows in those that come now, too.

        While its holder was looked for the test ran as often as in many windows, and none of that was read: a cache may
        have been filled meanwhile, or just before, so that nobody was seen to hold anything that grows.
        """
        begin, rate = self._readings.count, self._judged("memory.growth").rate
        if self._often("memory.growth") < repeat.OFTEN:
            return True
        self._readings.leave_out(("memory.growth",))
        until = self._now() + max((self._now() - self._began) * _SHARE_TO_GO_ON, _SECONDS_TO_GO_ON)
        while self._readings.count - begin < _TO_GO_ON and not self._readings.is_full():
            if self._readings.count - begin >= _FEWEST_TO_GO_ON and self._now() > until:
                break
            self._problem = self._problem or self._run_once()
            if self._problem:
                break
            self._readings.take()
        more = self._readings.count - begin
        if more < _FEWEST_TO_GO_ON:
            return True
        steps = increments(self._readings.series("memory.growth", self._control.rate)[begin - 1 :], more)
        return sum(steps) - max(steps) >= _STILL * rate * (more - 1)  # without the one at which a container moved

    def _doubt_what_is_flat(self) -> None:
        """Of what lives longer than it may, and not for ever, as many end as come: their number does not grow.

        No leak for sure: a pool that replaces its members looks the same.
        """
        for key in _THAT_MAY_END:
            if self._conclusions[key] != "flat" or key in self._ended or self._problem:
                continue
            values = self._readings.series(key)
            if key in self._left_at_first or max(values) > values[0]:
                left = self._outlive(key, 1.0)
                if left:
                    self._conclusions[key], self._replaced[key] = "unclear", left

    def _is_soon_certain(self, rule: repeat.Rule) -> bool:
        """Whether going on until nobody could doubt it takes no longer than asking, which most that grow are spared."""
        # What is kept makes the collector slower: the pace of late, and what it has lost since the beginning once more.
        average = max(self._now() - self._began, 1e-9) / self._readings.count
        each = self._pace * max(self._pace / average, 1.0)
        return 0 < (rule.certain - self._readings.count) * each < ASKING

    def _look(self, key: str, spent: bool) -> str:
        rule, floor = repeat.RULES[key], self._floor(key)
        return repeat.conclude(self._series(key), rule, spent=spent, floor=floor, structure=self._structure)

    def _judged(self, key: str) -> Judged:
        series = self._series(key)
        return judge_series(settled(series, self._floor(key)), floor=self._floor(key))

    def _often(self, key: str) -> float:
        """In what share of repetitions it grew of late: a list of thousands moves seldom, and at first all the time."""
        series = self._series(key)
        return event_share(series[len(series) // 2 :])

    def _series(self, key: str) -> list[float]:
        # No list of values may be alive while readings are taken: it would be read as growth.
        if key != "memory.growth":
            return self._readings.series(key)
        return without_spikes(self._readings.series(key, self._control.rate), meters.PAGE)

    def _floor(self, key: str) -> float:
        return self._control.noise if key == "memory.growth" else 0.0

    def _too_much(self) -> bool:
        values = self._readings.values["memory.growth"]
        return self._readings.count > 1 and values[self._readings.count - 1] - values[0] > _BYTES_CAP

    def _of_what_may_end(self, key: str) -> str:
        """What is concluded of threads or processes that add up, once they have had a moment to end.

        The older half of them had half of the time of the repetitions, and all that was done since: it may have been
        long, so that what has ended says nothing. Of what a few more repetitions leave, it does.
        """
        read = COUNT[key]
        values = self._readings.values[key]
        enough = values[0] + (values[self._readings.count - 1] - values[0]) // 2
        until = (self._began_by_the_wall + monotonic()) / 2 + _GRACE
        if read() > enough and all(read() > enough for _ in pauses(until, 0.01)):
            return "leak"
        rate = self._judged(key).rate
        if self._outlive(key, rate):
            return "leak"
        self._ended.add(key)
        if rate * _MOST_TO_OUTLIVE >= _TO_OUTLIVE:
            return "flat"
        self._replaced[key] = rate  # too rare for that: nobody knows which of them have ended
        return "unclear"

    def _outlive(self, key: str, rate: float) -> float:
        """How many of those that a repetition leaves, which is ``rate`` as a rule, are there when their time is over.

        Told by identity, so that others may end meanwhile. 0 where it is less than half of what is the rule.
        """
        needed = min(math.ceil(_TO_OUTLIVE / max(rate, 1e-9)), _MOST_TO_OUTLIVE)
        began, done, left = self._now(), 0, 0
        while done < needed and not self._problem:
            more, made = self._made_by_a_few(key, needed - done)
            done += more
            for _ in pauses(monotonic() + _GRACE, 0.01):
                if not made:
                    break
                made.intersection_update(KINDS[key].take())
            left += len(made)
            if done * rate >= _FEWEST_TO_OUTLIVE and (not left or self._now() - began > _GRACE):
                break
        if self._problem:
            return 0.0  # a repetition went wrong, here or before: nothing is concluded
        self._readings.leave_out()
        return left / done if left >= max(rate * done / 2, _FEWEST_TO_OUTLIVE) else 0.0

    def _made_by_a_few(self, key: str, most: int) -> tuple[int, set[Any]]:
        """Repeat so often, or less where that takes long and the first would be over: how often, and what is new."""
        meters.collect()
        before = set(KINDS[key].take())
        began, done = self._now(), 0
        while done < most and not self._problem and (not done or self._now() - began < _GRACE / 2):
            self._problem = self._run_once()
            done += 1
        meters.collect()
        return done, set(KINDS[key].take()) - before

    def _result(self, key: str) -> dict[str, Any]:
        memory = key == "memory.growth"
        judged = self._judged(key)
        series: Sequence[float] = self._series(key)
        conclusion = self._conclusions[key]
        from_lows: Sequence[float] = ()
        if conclusion == "leak":
            from_lows = beneath(series, lows(series)) if memory else ()
            series = from_lows or settled(series, self._floor(key))
        steps = increments(series, 12)
        rate = 0.0
        if conclusion in ("leak", "unclear"):
            # The median step: one window in which a large container moved says nothing of the others. What can be
            # counted moves nowhere: what it did of late is what goes on.
            rate = max(median(steps if memory else steps[len(steps) // 2 :]), 0.0) or judged.rate
        if from_lows and rate <= judged.resolution:
            # A few lows of a sawtooth, as the allocator's pools happened to stand: no more than could be told at all.
            conclusion, rate = "flat", 0.0
        if not memory and rate:
            # They come whole, but it may be in one of ten runs.
            rate = float(round(rate)) if rate >= _WHOLE else max(round(rate, 2), 0.01)
        if key in self._ended and conclusion == "flat":
            steps = (0.0,) * len(steps)  # they were read before they had ended
        if key in self._replaced:
            rate = round(self._replaced[key], 2)
        result: dict[str, Any] = {
            "conclusion": conclusion,
            "rate": round(rate, 1) if memory else rate,
            "resolution": judged.resolution if memory else 0,
            "series": [round(step, 1) for step in steps],
            "count": self._readings.count - 1,
        }
        if memory and self._structure is not None and self._structure.may_end:
            result["may_end"] = self._structure.may_end
        if key in self._replaced:
            result["may_end"] = _REPLACED
        if memory and self._along:
            result["along"] = True
        if self._readings.is_full():
            result["most"] = result["count"]
        return result


def _checkpoints() -> Iterator[int]:
    at = repeat.SCREEN
    while True:
        yield at
        at += max(12, at // 3)
