"""Decides whether a test is repeated now, has it repeated in a child, and keeps the account of what that took."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from coresys.records import Location, Reading
from pytest_coresys.config.profiles import Effort
from pytest_coresys.engine.confirm import Control
from pytest_coresys.engine.effort import Allowance, EffortBook
from pytest_coresys.engine.evidence import (
    AGAIN,
    SPENT,
    TOO_LITTLE,
    TOO_LONG,
    Seen,
    may_be_fragmented,
    over_at_first,
    suspects,
)
from pytest_coresys.engine.forked import ChildResult, why_no_fork
from pytest_coresys.engine.inplace import repeat_in_place
from pytest_coresys.engine.owners import LeftByFixture
from pytest_coresys.engine.plan import Plan
from pytest_coresys.engine.repeat import FEWEST, RULES, WARM_UP
from pytest_coresys.engine.repetition import (
    PEAK_REPETITIONS,
    WHOLE_REPETITIONS,
    Order,
    repeat_in_child,
    repeat_with_fixtures,
)
from pytest_coresys.engine.runner import quiet_timers, wider_fixtures

# For repeating a test with its wider fixtures: at most, and below which there is no point.
_WHOLE_SECONDS = 20.0
_FEWEST_SECONDS = 0.5
_TO_SEE_STRANDED = WARM_UP + FEWEST + 1  # repetitions, after which bytes that are still stranded stay so


@dataclass(frozen=True, slots=True)
class Whole:
    """What repeating a test with its wider fixtures showed: for each repetition what was left, by owner and measure;
    by measure where that was made, where it is one owner's; or none of it, and why."""

    left: list[dict[str, dict[str, int]]] = field(default_factory=list)
    places: Mapping[str, tuple[Location, ...]] = field(default_factory=dict)
    why: str | None = None


class Repeater:
    """Repeats tests of this process, within the profile's effort."""

    def __init__(
        self,
        effort: Effort,
        unmeasured: Mapping[str, str | None],
        on_progress: Callable[[pytest.Item, int], None],
        on_wait: Callable[[], None],
    ) -> None:
        self.book = EffortBook(share=effort.share, min_seconds=effort.min_seconds, tests_left=0)
        self.noise: float | None = None
        self._most = effort.max_repetitions
        self._unmeasured, self._on_progress = unmeasured, on_progress
        self.on_wait = on_wait  # called before anything that takes time, in which threads of the tests' go on
        self._control: Control | None = None
        # For comparing the two ways of repeating (benchmarks/harmless.py): not for users, it can harm later tests.
        self._always_in_place = "CORESYS_REPEAT_IN_PLACE is set" if os.environ.get("CORESYS_REPEAT_IN_PLACE") else None

    def repeat(
        self, item: pytest.Item, plan: Plan, seen: Seen, duration: float, *, each: float | None = None, last: bool
    ) -> None:
        """Repeat a test that passed, and add what was seen to ``seen``; its ``why`` tells if it was not, or in vain.

        ``duration`` is what it took in seconds, and ``each`` what a repetition of it will: without wider fixtures, and
        what others had of the processor. ``last``: no test follows in this process.
        """
        self.book.ran += duration
        each = duration if each is None else each
        wanted = plan.wanted
        seen.why = self._why_not(plan)
        if seen.why or not wanted:
            return
        no_fork = why_no_fork() or self._always_in_place
        if no_fork and not ((last or self._always_in_place) and _may_be_in_place(item)):
            seen.why = no_fork
            return
        likely = suspects(plan, seen)
        counted = [RULES[key].least + WARM_UP + 1 for key in likely if key != "memory.growth"]
        fragmented = seen.stranded_before if may_be_fragmented(plan, seen) else None
        counted += [] if fragmented is None else [_TO_SEE_STRANDED]
        allowance = self.book.allowance(each, likely=bool(likely), counted=max(counted, default=None))
        again = over_at_first(plan, seen)
        only_again = None
        if allowance is None:
            only_again = self._why_no_turn(each)
            allowance = self.book.allowance(each, likely=True, counted=AGAIN) if again else None
        if allowance is None:
            self.book.put_off(item.nodeid, too_long=only_again != SPENT)
            seen.why = only_again
            return
        order = Order(
            self._most,
            allowance,
            wanted,
            self._control,
            stranded_before=fragmented,
            imported=seen.imported,
            duration=duration,
            again=again,
            left=likely,
            only_again=only_again is not None,
            settings_found=seen.settings_found if _over(plan, seen, "globals.changed") else None,
            settings_suspected=_suspected_settings(plan, seen),
            absent=()
            if no_fork
            else [each for each in threading.enumerate() if each is not threading.current_thread()],
        )
        result = self._timed(
            item,
            (lambda: repeat_in_place(item, order))
            if no_fork
            else (lambda: repeat_in_child(item, order, on_progress=self._progress(item))),
        )
        if isinstance(result, str):
            seen.why = result
            return
        self._take(result, seen)
        seen.why = only_again or seen.why

    def repeat_whole(
        self, item: pytest.Item, nextitem: Any, take_fallen: Callable[[], Iterable[LeftByFixture]]
    ) -> Whole:
        """Repeat a test with its wider fixtures; what each repetition left by owner, or none of it and why."""
        why = why_no_fork() if self._most >= WHOLE_REPETITIONS else f"--coresys-repeat {self._most}"
        if why:
            return Whole(why=f"not repeated: {why}")
        seconds = min(max(self.book.left(), self.book.left_for_convicted()), _WHOLE_SECONDS)
        if seconds < _FEWEST_SECONDS:
            return Whole(why=SPENT)
        order = Order(self._most, Allowance(seconds, seconds, seconds), (), self._control)
        result = self._timed(item, lambda: repeat_with_fixtures(item, nextitem, order, take_fallen), whole=True)
        if isinstance(result, str):
            return Whole(why=result)
        sent = result.merged()
        if "whole" not in sent:
            problem = sent.get("problem") or sent.get("crash") or result.problem
            return Whole(why=f"could not be repeated: {problem}")
        places = {
            key.removeprefix("explained:"): tuple(Location(**place) for place in found["locations"])
            for key, found in sent.items()
            if key.startswith("explained:")
        }
        return Whole(sent["whole"], places)

    def _why_not(self, plan: Plan) -> str | None:
        if plan.no_repeat:
            return f"coresys_no_repeat: {plan.no_repeat}"
        return "--coresys-repeat 0" if self._most == 0 else None

    def _why_no_turn(self, each: float) -> str:
        if self.book.is_spent():
            return SPENT
        return TOO_LONG if self.book.is_beyond(each) else TOO_LITTLE

    def _progress(self, item: pytest.Item) -> Callable[[int], None]:
        return lambda count: self._on_progress(item, count)

    def _timed(self, item: pytest.Item, run: Callable[[], ChildResult], *, whole: bool = False) -> ChildResult | str:
        self.on_wait()
        quiet_timers(item)
        try:
            result = run()
        except OSError as error:
            return f"no process could be made: {error}"
        self.book.by_the_wall += result.seconds
        # What others had of the processor meanwhile is not ours to pay: the next test would lose its turn by it.
        seconds = max(result.seconds - result.merged().get("waited", 0.0), 0.0)
        explaining = seconds if whole else result.merged().get("explaining", 0.0)
        self.book.pay(seconds, explaining=explaining)
        return result

    def _take(self, result: ChildResult, seen: Seen) -> None:
        sent = result.merged()
        if "control" in sent:
            self._control = Control(**sent["control"])
            self.noise = self._control.noise
        seen.again = sent.get("again", {})
        problem = sent.get("problem") or sent.get("crash") or result.problem
        if "keys" not in sent and not problem:  # nothing else was to be done
            return
        if problem and not sent.get("keys"):  # what was settled stays so, whatever happened while looking for lines
            seen.why = f"could not be repeated: {problem}"
            return
        seen.repeated, seen.repetitions = sent["keys"], sent["repetitions"]
        prefix = "explained:"
        seen.explained = {key.removeprefix(prefix): facts for key, facts in sent.items() if key.startswith(prefix)}
        seen.readings = {**seen.readings, **_readings(sent)}
        if all(facts["conclusion"] == "too few" for facts in seen.repeated.values()):
            few = self._most < WARM_UP + FEWEST + PEAK_REPETITIONS
            seen.why = f"--coresys-repeat {self._most} is too few to judge by" if few else TOO_LITTLE


def _over(plan: Plan, seen: Seen, key: str) -> bool:
    limit, reading = plan.limits.get(key), seen.readings.get(key)
    if limit is None or limit.maximum is None or reading is None or key in plan.skipped:
        return False
    return reading.value is not None and reading.value > limit.maximum


def _suspected_settings(plan: Plan, seen: Seen) -> tuple[str, ...]:
    """Settings that the test changed, or modules that were imported meanwhile; none where it does not matter."""
    reading = seen.readings.get("globals.changed")
    if reading is None or reading.value is not None or "globals.changed" not in plan.in_force:
        return ()
    return () if "globals.changed" in plan.skipped else reading.details


def _may_be_in_place(item: pytest.Item) -> bool:
    # A repetition that fails must not ask a person, and one that sets up wider fixtures would leave them up.
    # And what is isolated may do anything to its process.
    isolated = item.get_closest_marker("coresys_isolated") is not None
    return not isolated and not item.config.getoption("usepdb", False) and not wider_fixtures(item)


def _readings(sent: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: Reading(reading["value"], reading.get("why"), tuple(reading.get("details", ())))
        for key, reading in sent.get("readings", {}).items()
    }
