"""When to stop trying again, and how long to wait before. Named as in tenacity, and combined as there.

``stop_after_attempt(5) | stop_after_delay(30)`` stops at whichever comes first, ``&`` when both say so;
``wait_fixed(1) + wait_random(0, 2)`` waits for both. Any function of a RetryState does in their place.
"""

from __future__ import annotations

import random
from collections.abc import Callable

MOST_SECONDS = 86_400.0


class RetryState:
    """How far a call has come: what functions that decide about it are given.

    ``attempt_number``: of the attempt that was made last, from 1. ``idle_for``: seconds waited between attempts so far.
    ``seconds_since_start``: since the first began; 0.0 where nothing that decides needs to know. ``upcoming_sleep``:
    what would be waited next, once that is known.
    """

    __slots__ = ("attempt_number", "idle_for", "seconds_since_start", "started", "upcoming_sleep")

    def __init__(self, started: float = 0.0) -> None:
        self.attempt_number = 1
        self.started = started
        self.seconds_since_start = 0.0
        self.idle_for = 0.0
        self.upcoming_sleep = 0.0

    def __repr__(self) -> str:
        return f"<RetryState: attempt {self.attempt_number}, {self.seconds_since_start:.3f} s since the first>"


Stop = Callable[[RetryState], bool]
Wait = Callable[[RetryState], float]


class stop_base:
    """A rule that says when to stop. ``timed``: it needs to know the time since the start."""

    timed = False

    def __call__(self, state: RetryState) -> bool:
        """Whether the attempt that failed was the last."""
        raise NotImplementedError

    def __or__(self, other: Stop) -> stop_any:
        return stop_any(self, other)

    def __and__(self, other: Stop) -> stop_all:
        return stop_all(self, other)


class stop_any(stop_base):
    """Stop when any of some rules does."""

    def __init__(self, *stops: Stop) -> None:
        self.stops = stops
        self.timed = any(map(is_timed, stops))

    def __call__(self, state: RetryState) -> bool:
        return any(stop(state) for stop in self.stops)


class stop_all(stop_base):
    """Stop when all of some rules do."""

    def __init__(self, *stops: Stop) -> None:
        self.stops = stops
        self.timed = any(map(is_timed, stops))

    def __call__(self, state: RetryState) -> bool:
        return all(stop(state) for stop in self.stops)


class stop_after_attempt(stop_base):
    """Stop when that many attempts were made."""

    def __init__(self, max_attempt_number: int) -> None:
        if not max_attempt_number >= 1:  # so that NaN is refused, which no attempt reaches
            raise ValueError("one attempt is made at least")
        self.max_attempt_number = max_attempt_number

    def __call__(self, state: RetryState) -> bool:
        return state.attempt_number >= self.max_attempt_number


class stop_after_delay(stop_base):
    """Stop when that many seconds have gone by since the first attempt began; the last wait may end later."""

    timed = True

    def __init__(self, max_delay: float) -> None:
        _refuse_nan(max_delay)
        self.max_delay = max_delay

    def __call__(self, state: RetryState) -> bool:
        return state.seconds_since_start >= self.max_delay


class stop_before_delay(stop_base):
    """Stop when the next attempt would begin after that many seconds."""

    timed = True

    def __init__(self, max_delay: float) -> None:
        _refuse_nan(max_delay)
        self.max_delay = max_delay

    def __call__(self, state: RetryState) -> bool:
        return state.seconds_since_start + state.upcoming_sleep >= self.max_delay


class _stop_never(stop_base):
    def __call__(self, state: RetryState) -> bool:
        return False


stop_never = _stop_never()


class wait_base:
    """A rule that says how many seconds to wait."""

    timed = False

    def __call__(self, state: RetryState) -> float:
        """Seconds until the next attempt."""
        raise NotImplementedError

    def __add__(self, other: Wait) -> wait_combine:
        return wait_combine(self, other)


class wait_combine(wait_base):
    """The sum of some waits."""

    def __init__(self, *waits: Wait) -> None:
        self.waits = waits
        self.timed = any(map(is_timed, waits))

    def __call__(self, state: RetryState) -> float:
        return sum(wait(state) for wait in self.waits)


class wait_fixed(wait_base):
    """Always the same time."""

    def __init__(self, wait: float) -> None:
        _refuse_nan(wait)
        self.wait = wait

    def __call__(self, state: RetryState) -> float:
        return self.wait


class wait_none(wait_fixed):
    """No time at all."""

    def __init__(self) -> None:
        super().__init__(0.0)


class wait_random(wait_base):
    """Any time between two."""

    def __init__(self, min: float = 0.0, max: float = 1.0, *, rng: random.Random | None = None) -> None:
        _refuse_nan(min, max)
        self.min, self.max = min, max
        self._uniform = (rng or random).uniform

    def __call__(self, state: RetryState) -> float:
        return self._uniform(self.min, self.max)


class wait_exponential(wait_base):
    """``multiplier`` seconds before the second attempt, ``exp_base`` times as long before each that follows.

    Never less than ``min`` nor more than ``max`` seconds.
    """

    def __init__(
        self, multiplier: float = 1.0, max: float = MOST_SECONDS, exp_base: float = 2.0, min: float = 0.0
    ) -> None:
        _refuse_nan(multiplier, max, exp_base, min)
        self.multiplier, self.max, self.exp_base, self.min = multiplier, max, exp_base, min

    def __call__(self, state: RetryState) -> float:
        try:
            seconds = self.multiplier * self.exp_base ** (state.attempt_number - 1)
        except OverflowError:
            return self.max
        return max(self.min, min(self.max, seconds))


class wait_random_exponential(wait_exponential):
    """Full jitter: any time between ``min`` and what wait_exponential would say.

    Callers that failed together come back spread over the whole time, so that each sees the fewest others.
    """

    def __init__(
        self,
        multiplier: float = 1.0,
        max: float = MOST_SECONDS,
        exp_base: float = 2.0,
        min: float = 0.0,
        *,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(multiplier, max, exp_base, min)
        self._uniform = (rng or random).uniform

    def __call__(self, state: RetryState) -> float:
        return self._uniform(self.min, super().__call__(state))


def _refuse_nan(*numbers: float) -> None:
    """Raises ValueError for NaN: no time reaches it, so that nothing would stop; and as a wait it is none at all."""
    if any(number != number for number in numbers):
        raise ValueError("NaN is no number of seconds, nor of times")


def is_timed(rule: Stop | Wait) -> bool:
    """Whether a rule needs the time since the start; one of which nothing is known may."""
    return bool(getattr(rule, "timed", True))
