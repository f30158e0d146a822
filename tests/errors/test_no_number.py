"""NaN is refused as a bound: every comparison with it is false, so that it would bound nothing, or everything."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest

from coresys.errors.backoff import (
    RetryState,
    stop_after_attempt,
    stop_after_delay,
    stop_before_delay,
    wait_exponential,
    wait_fixed,
    wait_random,
    wait_random_exponential,
)
from coresys.errors.breaker import CircuitBreaker, CircuitBreakers
from coresys.errors.budget import RetryBudget
from coresys.errors.capture import Capture
from coresys.errors.journal import Journal
from coresys.errors.manager import ErrorManager
from coresys.errors.policies import RestartComponent, RestoreState
from coresys.errors.restart import RestartIntensity
from coresys.errors.retry import Retrying, retry
from coresys.errors.states import ErrorStates
from coresys.errors.values import Values
from coresys.testing.fakes import FakeClock, RecordingComponentManager, RecordingStateManager

NUMBERS: list[tuple[Callable[..., object], str]] = [
    *((CircuitBreaker, name) for name in ("failures", "rate", "window", "minimum", "recovery", "probes")),
    (CircuitBreakers, "most"),
    *(
        (lambda **given: RetryBudget(**{"per_second": 1, "burst": 1, **given}), name)
        for name in ("per_second", "burst")
    ),
    *((RestartIntensity, name) for name in ("restarts", "within")),
    *((rule, "deadline") for rule in (Retrying, retry)),
    (stop_after_attempt, "max_attempt_number"),
    *((rule, "max_delay") for rule in (stop_after_delay, stop_before_delay)),
    (wait_fixed, "wait"),
    *((wait_random, name) for name in ("min", "max")),
    *((wait_exponential, name) for name in ("multiplier", "max", "exp_base", "min")),
    *((wait_random_exponential, name) for name in ("multiplier", "max", "exp_base", "min")),
    *((Journal, name) for name in ("count", "bytes")),
    *((Capture, name) for name in ("frames", "errors", "characters")),
    *((Values, name) for name in ("frames", "count", "characters", "depth", "items", "total")),
    (ErrorManager, "names"),
    (lambda **given: RestoreState(RecordingStateManager(), **given), "times"),
    (lambda **given: RestartComponent(RecordingComponentManager(), **given), "times"),
    (lambda **given: ErrorStates(errors=ErrorManager(), states=RecordingStateManager()).leaving(**given), "times"),
]


@pytest.mark.parametrize(("make", "name"), NUMBERS, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_no_number_is_refused(make: Callable[..., object], name: str) -> None:
    with pytest.raises(ValueError, match=r"at least|share|number"):
        make(**{name: nan})


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (CircuitBreaker, {"recovery": inf, "window": inf}),
        (RetryBudget, {"per_second": inf, "burst": inf}),
        (RestartIntensity, {"restarts": 2, "within": inf}),
        (Retrying, {"deadline": inf}),
    ],
)
def test_without_end_is_a_number_and_does(make: Callable[..., Any], options: dict[str, float]) -> None:
    clock = FakeClock()
    made = make(clock=clock, **options)
    if isinstance(made, CircuitBreaker):
        for _ in range(5):
            with pytest.raises(OSError, match="down"):
                made.call(down)
        clock.advance(1e9)
        with pytest.raises(Exception, match="let through in inf s"):
            made.call(down)
    elif isinstance(made, RestartIntensity):
        answers = []
        for _ in range(3):
            answers.append(made.allow("x"))
            clock.advance(1e9)
        assert answers == [True, True, False]
    elif isinstance(made, RetryBudget):
        assert all(made.take() for _ in range(1000))
    else:
        assert made.pause(RetryState(clock.now()), OSError()) is not None


def down() -> None:
    raise OSError("down")
