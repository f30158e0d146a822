"""Trying again: when, how often, how long between, and what comes out in the end."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from coresys.errors.backoff import (
    RetryState,
    Stop,
    Wait,
    stop_after_attempt,
    stop_after_delay,
    stop_before_delay,
    stop_never,
    wait_exponential,
    wait_fixed,
    wait_none,
    wait_random,
    wait_random_exponential,
)
from coresys.errors.budget import RetryBudget
from coresys.errors.retry import Retrying, retry
from coresys.testing.fakes import FakeClock


class Failing:
    """Fails some times, each with an error of its own, and then answers."""

    def __init__(self, times: int, kind: type[BaseException] = OSError, *, clock: FakeClock | None = None) -> None:
        self.times, self.kind, self.clock = times, kind, clock
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.clock is not None:
            self.clock.advance(1.0)
        if self.calls <= self.times:
            raise self.kind(self.calls)
        return args, kwargs


def at(attempt: int, seconds: float = 0.0, upcoming: float = 0.0) -> RetryState:
    state = RetryState()
    state.attempt_number, state.seconds_since_start, state.upcoming_sleep = attempt, seconds, upcoming
    return state


# -- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "state", "stops"),
    [
        *((stop_after_attempt(3), at(2), False), (stop_after_attempt(3), at(3), True), (stop_never, at(999), False)),
        *((stop_after_delay(5), at(1, 4.9), False), (stop_after_delay(5), at(1, 5.0), True)),
        *((stop_before_delay(5), at(1, 3, 1.9), False), (stop_before_delay(5), at(1, 3, 2), True)),
        *((stop_after_attempt(3) | stop_after_delay(5), at(3, 0), True),),
        *((stop_after_attempt(3) | stop_after_delay(5), at(1, 5), True),),
        *((stop_after_attempt(3) | stop_after_delay(5), at(2, 4), False),),
        *((stop_after_attempt(3) & stop_after_delay(5), at(3, 4), False),),
        *((stop_after_attempt(3) & stop_after_delay(5), at(3, 5), True),),
    ],
)
def test_when_to_stop(stop: Stop, state: RetryState, stops: bool) -> None:
    assert stop(state) is stops


@pytest.mark.parametrize(
    ("wait", "attempt", "seconds"),
    [
        *((wait_none(), 1, 0.0), (wait_fixed(2), 9, 2), (wait_fixed(2) + wait_fixed(1), 1, 3)),
        *((wait_exponential(0.5), 1, 0.5), (wait_exponential(0.5), 2, 1.0), (wait_exponential(0.5), 5, 8.0)),
        *(
            (wait_exponential(1, max=10), 5, 10),
            (wait_exponential(1, min=3), 1, 3),
            (wait_exponential(1, max=10), 5000, 10),
        ),
        *((wait_exponential(1, exp_base=3), 3, 9),),
    ],
)
def test_how_long_to_wait(wait: Wait, attempt: int, seconds: float) -> None:
    assert wait(at(attempt)) == seconds


def test_full_jitter_is_spread_evenly_over_the_whole_time() -> None:
    wait = wait_random_exponential(1.0, max=8.0, rng=random.Random(1))
    for attempt, most in ((1, 1.0), (3, 4.0), (9, 8.0)):
        seen = [wait(at(attempt)) for _ in range(2000)]
        assert 0 <= min(seen) < 0.02 * most
        assert 0.98 * most < max(seen) <= most
        assert sum(seen) / len(seen) == pytest.approx(most / 2, rel=0.05)
    assert all(2 <= wait_random(2, 3)(at(1)) <= 3 for _ in range(50))


# -- calls ------------------------------------------------------------------------------------------------------------

FORMS = ["call", "decorator", "decorator in time", "loop", "async call", "async decorator", "async loop"]


def run(form: str, function: Callable[..., Any], clock: FakeClock, **rule: Any) -> Any:
    """The same, in each of the forms in which there is trying again."""
    if form == "decorator in time":
        rule.setdefault("deadline", 1e9)
    retrying = Retrying(clock=clock, async_sleep=clock.sleep_async, **rule)

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    if form == "call":
        return retrying(function, 1, two=2)
    if form.startswith("decorator"):
        return retry(clock=clock, **rule)(lambda *args, **kwargs: function(*args, **kwargs))(1, two=2)
    if form == "loop":
        for attempt in retrying:
            with attempt:
                result = function(1, two=2)
        return result
    if form == "async call":
        return asyncio.run(retrying.call_async(coroutine, 1, two=2))
    if form == "async decorator":
        return asyncio.run(retrying.wrap(coroutine)(1, two=2))

    async def loop() -> Any:
        async for attempt in retrying:
            with attempt:
                result = await coroutine(1, two=2)
        return result

    return asyncio.run(loop())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("fails", "attempts", "calls", "succeeds"), [(0, 3, 1, True), (2, 3, 3, True), (3, 3, 3, False), (1, 1, 1, False)]
)
def test_it_is_tried_again_so_often(form: str, fails: int, attempts: int, calls: int, succeeds: bool) -> None:
    clock, function = FakeClock(), Failing(fails)
    rule: dict[str, Any] = {"stop": stop_after_attempt(attempts), "wait": wait_exponential(1)}
    if succeeds:
        assert run(form, function, clock, **rule) == ((1,), {"two": 2})
    else:
        with pytest.raises(OSError, match=f"^{calls}$") as caught:
            run(form, function, clock, **rule)
        assert caught.value.__context__ is None
    assert function.calls == calls
    assert clock.slept == [1.0, 2.0][: calls - 1]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("retry_on", "kind", "calls"),
    [
        *((OSError, OSError, 3), (OSError, ConnectionError, 3), (OSError, ValueError, 1)),
        *(((OSError, ValueError), ValueError, 3), ((OSError, KeyError), ValueError, 1)),
        *((lambda error: error.args == (1,), ValueError, 2), (lambda error: False, ValueError, 1)),
        *((Exception, KeyboardInterrupt, 1), (BaseException, SystemExit, 1), (KeyboardInterrupt, KeyboardInterrupt, 3)),
        *((lambda error: True, SystemExit, 1),),
    ],
)
def test_only_after_errors_that_are_named(form: str, retry_on: Any, kind: type[BaseException], calls: int) -> None:
    if "async" in form and not issubclass(kind, Exception):
        pytest.skip("asyncio stops its loop at once for those")
    clock, function = FakeClock(), Failing(9, kind)
    with pytest.raises(kind):
        run(form, function, clock, retry_on=retry_on, stop=stop_after_attempt(3), wait=wait_none())
    assert function.calls == calls


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("deadline", "calls"), [(0.0, 1), (2.9, 1), (3.0, 2), (6.9, 2), (7.0, 3), (100.0, 9)])
def test_no_attempt_begins_after_the_deadline(form: str, deadline: float, calls: int) -> None:
    """Each takes a second, and there are two, then three, seconds between them."""
    clock = FakeClock()
    function = Failing(99, clock=clock)
    began = clock.now()

    def wait(state: RetryState) -> float:
        return 1.0 + state.attempt_number

    with pytest.raises(OSError, match=r"\d"):
        run(form, function, clock, stop=stop_after_attempt(9), wait=wait, deadline=deadline)
    assert function.calls == calls
    assert clock.now() - began <= deadline + 1.0 or calls == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_budget_that_is_spent_ends_it(form: str) -> None:
    clock = FakeClock()
    budget = RetryBudget(per_second=0, burst=2, clock=clock)
    function = Failing(99)
    with pytest.raises(OSError, match=r"^3$"):
        run(form, function, clock, stop=stop_never, wait=wait_none(), budget=budget)
    assert (budget.taken, budget.refused) == (2, 1)


def test_a_budget_is_not_taken_from_where_something_else_forbids_it() -> None:
    clock = FakeClock()
    budget = RetryBudget(per_second=0, burst=5, clock=clock)
    each: dict[str, Any]
    for each in ({"stop": stop_after_attempt(1)}, {"retry_on": KeyError}, {"deadline": 0.0, "wait": wait_fixed(1)}):
        with pytest.raises(OSError, match="1"):
            Retrying(budget=budget, clock=clock, **each)(Failing(9))
    assert (budget.taken, budget.refused) == (0, 0)


def test_what_is_told_before_each_wait() -> None:
    clock, told = FakeClock(), []
    retrying = Retrying(
        stop=stop_after_attempt(3) | stop_after_delay(100),
        wait=wait_fixed(2),
        clock=clock,
        before_sleep=lambda state: told.append(
            (state.attempt_number, state.upcoming_sleep, state.idle_for, state.seconds_since_start)
        ),
    )
    retrying(Failing(2, clock=clock))
    assert told == [(1, 2, 0, 1), (2, 2, 2, 4)]


def test_a_decorated_function_keeps_its_name_and_shows_its_rule() -> None:
    @retry(retry_on=OSError)
    def named() -> None:
        """What it does."""

    assert (named.__name__, named.__doc__) == ("named", "What it does.")
    assert isinstance(named.retry, Retrying)  # type: ignore[attr-defined]  # as with tenacity
    assert repr(named.retry) == "<Retrying on OSError>"  # type: ignore[attr-defined]  # the same


def test_a_decorator_without_a_rule_needs_no_brackets() -> None:
    @retry
    def named(number: int) -> int:
        """What it does."""
        return number + 1

    @retry
    async def coroutine() -> str:
        return "done"

    assert (named(1), named.__name__, named.__doc__) == (2, "named", "What it does.")
    assert asyncio.run(coroutine()) == "done"
    assert repr(named.retry) == "<Retrying on Exception>"  # type: ignore[attr-defined]  # as with tenacity
    assert retry(str, stop=stop_after_attempt(1))(5) == "5"  # type: ignore[call-overload]  # so that nothing is lost


@pytest.mark.parametrize("given", [OSError, (OSError, KeyError), 3, None])
def test_a_rule_that_is_not_given_by_name_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"decorates a function.*by keyword"):
        retry(given)


def test_a_loop_without_its_block_runs_once() -> None:
    assert [attempt.num for attempt in Retrying(clock=FakeClock())] == [1]


def test_attempts_are_numbered() -> None:
    seen = []
    for attempt in Retrying(clock=FakeClock(), stop=stop_after_attempt(3)):
        with attempt:
            seen.append((attempt.num, attempt.retry_state.attempt_number))
            if len(seen) < 3:
                raise OSError
    assert seen == [(1, 1), (2, 2), (3, 3)]


def test_a_cancelled_task_is_not_tried_again() -> None:
    calls = []

    @retry(stop=stop_never, wait=wait_none())
    async def work() -> None:
        calls.append(1)
        await asyncio.sleep(10)

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert calls == [1]


def test_while_it_waits_nothing_holds_the_error() -> None:
    refs: list[weakref.ref[Any]] = []
    gone: list[bool] = []

    class Mine(Exception):
        pass

    def work() -> str:
        if refs:
            return "done"
        error = Mine()
        refs.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    gc.disable()
    try:
        for retrying in (Retrying,):
            rule = retrying(retry_on=Mine, wait=wait_none(), sleep=lambda seconds: gone.append(refs[0]() is None))
            assert rule(work) == "done"
            refs.clear()
            assert rule.wrap(work)() == "done"
    finally:
        gc.enable()
    assert gone == [True, True]


def test_nothing_is_made_and_no_clock_read_where_it_succeeds() -> None:
    class NoClock(FakeClock):
        def now(self) -> float:
            raise AssertionError("the clock was read")

    assert Retrying(clock=NoClock()).wrap(lambda: 5)() == 5
    with pytest.raises(AssertionError, match="clock was read"):
        Retrying(clock=NoClock(), deadline=1).wrap(lambda: 5)()


# -- the budget -------------------------------------------------------------------------------------------------------


class BudgetMachine(RuleBasedStateMachine):
    """The budget beside the plain rule: in any stretch of time no more than ``burst + per_second * seconds``."""

    @initialize(rate=st.sampled_from([0.0, 0.5, 1.0, 4.0]), burst=st.integers(1, 5))
    def begin(self, rate: float, burst: int) -> None:
        self.clock = FakeClock(now=0.0)
        self.rate, self.burst = rate, burst
        self.budget = RetryBudget(per_second=rate, burst=burst, clock=self.clock)
        self.tokens, self.taken = float(burst), []  # type: float, list[float]

    @rule(seconds=st.sampled_from([0.125, 0.25, 0.5, 1.0, 3.0, 60.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.tokens = min(self.burst, self.tokens + seconds * self.rate)

    @rule()
    def take(self) -> None:
        allowed = self.tokens >= 1
        assert self.budget.take() is allowed
        if allowed:
            self.tokens -= 1
            self.taken.append(self.clock.now())

    @invariant()
    def never_more_than_it_says(self) -> None:
        taken = getattr(self, "taken", [])
        for first in range(len(taken)):
            for last in range(first, len(taken)):
                assert last - first + 1 <= self.burst + self.rate * (taken[last] - taken[first])


TestBudget = pytest.mark.slow(BudgetMachine.TestCase)
TestBudget.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(("rate", "burst"), [(-1, 1), (1, 0.5), (1, 0)])
def test_a_budget_of_nothing_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="at least"):
        RetryBudget(per_second=rate, burst=burst)


def test_a_budget_gives_to_eight_threads_no_more_than_it_has() -> None:
    clock = FakeClock()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            budget = RetryBudget(per_second=0, burst=100, clock=clock)
            given: list[bool] = []
            threads = [
                threading.Thread(target=lambda: given.extend(budget.take() for _ in range(50)))  # noqa: B023
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert (given.count(True), given.count(False)) == (100, 300)
            assert (budget.taken, budget.refused) == (100, 300)
    finally:
        sys.setswitchinterval(interval)


def test_callers_that_share_a_budget_cannot_storm() -> None:
    """A hundred callers, five attempts each, of something that is down: 400 retries without a budget, here 12."""
    clock = FakeClock()
    budget = RetryBudget(per_second=1, burst=10, clock=clock)
    function = Failing(10_000)
    retrying = Retrying(stop=stop_after_attempt(5), wait=wait_fixed(0.02), budget=budget, clock=clock)
    began = clock.now()
    for _ in range(100):
        with pytest.raises(OSError, match=r"\d"):
            retrying(function)
    assert function.calls == 100 + budget.taken
    assert budget.taken <= 10 + (clock.now() - began)
