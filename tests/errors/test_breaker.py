"""Circuit breakers, beside a model that remembers everything."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from coresys.errors.breaker import CLOSED, HALF_OPEN, OPEN, CircuitBreaker, CircuitBreakers
from coresys.errors.hierarchy import CircuitOpenError
from coresys.testing.fakes import FakeClock


def fail(error: BaseException | None = None) -> None:
    raise error or OSError("down")


def failing(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(OSError, match="down"):
            breaker.call(fail)


FORMS = ["call", "decorator", "block", "async decorator", "async block"]


def through(form: str, breaker: CircuitBreaker, function: Callable[[], Any]) -> Any:
    async def coroutine() -> Any:
        await asyncio.sleep(0)
        return function()

    async def block() -> Any:
        with breaker.calling():
            return await coroutine()

    if form == "call":
        return breaker.call(function)
    if form == "decorator":
        return breaker(lambda: function())()
    if form == "block":
        with breaker.calling():
            return function()
    return asyncio.run(breaker(coroutine)() if form == "async decorator" else block())


@pytest.mark.parametrize("form", FORMS)
def test_it_opens_refuses_tries_and_closes(form: str) -> None:
    clock = FakeClock()
    told: list[tuple[str, str]] = []
    breaker = CircuitBreaker(
        "db", failures=3, recovery=30, clock=clock, changed=lambda breaker, before, after: told.append((before, after))
    )
    for number in range(3):
        assert (breaker.state, breaker.failures) == (CLOSED, number)
        with pytest.raises(OSError, match="down"):
            through(form, breaker, fail)
    called: list[int] = []
    clock.advance(12.5)
    with pytest.raises(CircuitOpenError, match=r"'db' is open .3 failures in a row.*17.5 s") as refused:
        through(form, breaker, lambda: called.append(1))
    assert (refused.value.circuit, refused.value.retry_after, called) == ("db", 17.5, [])
    clock.advance(17.5)
    with pytest.raises(OSError, match="down"):
        through(form, breaker, fail)
    assert breaker.state == OPEN
    with pytest.raises(CircuitOpenError, match="the call that was to try it failed"):
        through(form, breaker, lambda: None)
    clock.advance(30)
    assert through(form, breaker, lambda: 5) == 5
    assert (breaker.state, breaker.failures) == (CLOSED, 0)
    assert told == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]


@pytest.mark.parametrize("form", FORMS)
def test_a_success_ends_a_row(form: str) -> None:
    breaker = CircuitBreaker(failures=2, clock=FakeClock())
    for _ in range(5):
        failing(breaker)
        through(form, breaker, lambda: None)
    assert (breaker.state, breaker.failures) == (CLOSED, 0)


@pytest.mark.parametrize(
    ("successes", "failures", "rate", "minimum", "state"),
    [
        *((10, 9, 0.5, 1, CLOSED), (10, 10, 0.5, 1, OPEN), (9, 1, 0.1, 10, OPEN), (9, 1, 0.1, 11, CLOSED)),
        *((0, 19, 0.5, 20, CLOSED), (0, 20, 0.5, 20, OPEN), (3, 7, 0.75, 1, CLOSED), (0, 1, 1.0, 1, OPEN)),
    ],
)
@pytest.mark.parametrize("form", ["call", "decorator"])
def test_a_share_of_failures_opens_it(
    form: str, successes: int, failures: int, rate: float, minimum: int, state: str
) -> None:
    breaker = CircuitBreaker(failures=100, rate=rate, minimum=minimum, clock=FakeClock())
    for _ in range(successes):
        through(form, breaker, lambda: None)
    failing(breaker, failures)
    assert breaker.state == state


def test_what_is_older_than_the_window_does_not_count() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failures=100, rate=0.5, minimum=4, window=16.0, clock=clock)
    failing(breaker, 3)
    clock.advance(17.0)
    failing(breaker)
    assert breaker.state == CLOSED
    clock.advance(10.0)
    failing(breaker, 3)
    assert breaker.state == OPEN


def test_successes_between_two_failures_are_taken_to_be_evenly_spread() -> None:
    clock = FakeClock(now=0.0)
    breaker = CircuitBreaker(failures=100, rate=0.5, minimum=2, window=16.0, clock=clock)
    failing(breaker)
    for _ in range(64):  # at once; what is known is that they came within 64 seconds
        breaker.call(lambda: None)
    clock.advance(63.5)
    for number in range(15):
        failing(breaker)
        assert breaker.state == CLOSED, number
    failing(breaker)  # 16 of the last 16 seconds, against 16 of the 64 successes, but for rounding
    assert breaker.state == OPEN


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), asyncio.CancelledError()])
def test_being_broken_off_says_nothing(error: BaseException) -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failures=1, recovery=1, clock=clock)
    with pytest.raises(type(error)):
        breaker.call(fail, error)
    assert breaker.state == CLOSED
    failing(breaker)
    clock.advance(1)
    with pytest.raises(type(error)):
        breaker.call(fail, error)
    assert breaker.state == HALF_OPEN
    breaker.call(lambda: None)  # the probe that was broken off made room for this one
    assert breaker.state == CLOSED


def test_errors_that_do_not_count_are_answers() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failures=2, recovery=1, clock=clock, counts=lambda error: isinstance(error, OSError))
    failing(breaker)
    with pytest.raises(KeyError):
        breaker.call(fail, KeyError("not found"))
    assert breaker.failures == 0
    failing(breaker, 2)
    clock.advance(1)
    with pytest.raises(KeyError):
        breaker.call(fail, KeyError("not found"))
    assert breaker.state == CLOSED


def test_no_more_probes_at_a_time_than_it_says_and_all_have_to_succeed() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failures=1, recovery=1, probes=2, clock=clock)
    failing(breaker)
    clock.advance(1)
    first, second = breaker.admit(), breaker.admit()
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    breaker.succeeded(first)
    assert breaker.state == HALF_OPEN
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    breaker.succeeded(second)
    assert breaker.state == CLOSED


def test_probes_that_never_come_back_do_not_keep_it_half_open() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failures=1, recovery=5, clock=clock)
    failing(breaker)
    clock.advance(5)
    lost = breaker.admit()
    clock.advance(4)
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    clock.advance(1)
    fresh = breaker.admit()
    breaker.failed(lost, OSError())  # too late: it says nothing
    assert breaker.state == HALF_OPEN
    breaker.succeeded(fresh)
    assert breaker.state == CLOSED


def test_calls_that_began_before_it_opened_say_nothing_after() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(failures=1, recovery=5, clock=clock)
    early, late = breaker.admit(), breaker.admit()
    failing(breaker)
    breaker.succeeded(early)
    assert breaker.state == OPEN
    clock.advance(5)
    probe = breaker.admit()
    breaker.failed(late, OSError())
    assert breaker.state == HALF_OPEN
    breaker.succeeded(late)
    assert breaker.state == HALF_OPEN
    breaker.succeeded(probe)
    breaker.failed(late, OSError())
    assert (breaker.state, breaker.failures) == (CLOSED, 0)


@pytest.mark.parametrize(
    "wrong", [{"failures": 0}, {"probes": 0}, {"minimum": 0}, {"window": 0}, {"recovery": -1}, {"rate": 0}, {"rate": 2}]
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"at least|share"):
        CircuitBreaker(**wrong)  # type: ignore[arg-type]  # one of the numbers


def test_a_success_reads_no_clock_and_takes_no_lock() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(rate=0.5, clock=clock)

    @breaker
    def answering() -> int:
        return 5

    def no_clock() -> float:
        raise AssertionError("the clock was read")

    clock.now = no_clock  # type: ignore[method-assign]  # to see who does
    holding = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with breaker._lock:
            holding.set()
            release.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(10)
    try:
        assert answering() == breaker.call(lambda: 5) == 5
    finally:
        release.set()
        holder.join()


def test_who_is_told_of_a_change_replaces_no_result_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def told(breaker: CircuitBreaker, before: str, after: str) -> None:
        raise RuntimeError("the pager is down")

    clock = FakeClock()
    breaker = CircuitBreaker("db", failures=1, recovery=1, clock=clock, changed=told)
    failing(breaker, 1)  # a ConnectionError, as ever
    assert breaker.state == OPEN
    clock.advance(1)
    assert breaker.call(lambda: "here") == "here"
    assert breaker.state == CLOSED
    assert [record.getMessage().partition(" went ")[2] for record in caplog.records] == [
        "from closed to open raised",
        "from open to half-open raised",
        "from half-open to closed raised",
    ]
    assert all(record.exc_info and "pager" in str(record.exc_info[1]) for record in caplog.records)


def test_eight_threads_open_it_once_and_at_the_right_count() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            told: list[str] = []
            clock = FakeClock()
            breaker = CircuitBreaker(
                failures=400,
                recovery=1,
                clock=clock,
                changed=lambda breaker, before, after: told.append(after),  # noqa: B023
            )
            in_threads(8, lambda: failing(breaker, 49))  # noqa: B023
            assert (breaker.state, breaker.failures) == (CLOSED, 392)
            failing(breaker, 8)
            assert told == [OPEN]
            clock.advance(1)
            admitted: list[int] = []
            in_threads(8, lambda: admit(breaker, admitted))  # noqa: B023
            assert len(admitted) == 1
    finally:
        sys.setswitchinterval(interval)


def in_threads(number: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)


def admit(breaker: CircuitBreaker, admitted: list[int]) -> None:
    try:
        admitted.append(breaker.admit())
    except CircuitOpenError:
        pass


# -- by key -----------------------------------------------------------------------------------------------------------


def test_each_key_has_a_circuit_of_its_own() -> None:
    breakers = CircuitBreakers(lambda key: CircuitBreaker(key, failures=1, clock=FakeClock()))
    failing(breakers["a"])
    assert breakers.states() == (("a", OPEN),)
    assert breakers["b"].state == CLOSED
    assert breakers["a"] is breakers["a"]


def test_keys_are_bounded_and_quiet_circuits_go_first() -> None:
    breakers = CircuitBreakers(lambda key: CircuitBreaker(key, failures=2, clock=FakeClock()), most=3)
    failing(breakers["failing"])
    for key in ("b", "c", "d", "e"):
        _ = breakers[key]
    assert [key for key, _ in breakers.states()] == ["failing", "d", "e"]
    for key in ("d", "e"):
        failing(breakers[key])
    _ = breakers["f"]
    assert [key for key, _ in breakers.states()] == ["d", "e", "f"]


# -- a model ----------------------------------------------------------------------------------------------------------

WINDOW, BUCKETS = 16.0, 16


class BreakerMachine(RuleBasedStateMachine):
    """Calls that begin and end in any order, beside a model that keeps a list of everything that happened."""

    calls = Bundle("calls")

    @initialize(
        failures=st.integers(1, 4),
        probes=st.integers(1, 3),
        rate=st.sampled_from([None, 0.25, 0.5, 1.0]),
        minimum=st.integers(1, 4),
    )
    def begin(self, failures: int, probes: int, rate: float | None, minimum: int) -> None:
        self.clock = FakeClock(now=0.0)
        self.failures, self.probes, self.rate, self.minimum = failures, probes, rate, minimum
        self.breaker = CircuitBreaker(
            failures=failures, probes=probes, rate=rate, minimum=minimum, window=WINDOW, recovery=4.0, clock=self.clock
        )
        self.state, self.era, self.since = CLOSED, 0, 0.0
        self.row = self.out = self.good = 0
        self.looked, self.unseen = 0.0, 0
        self.happened: list[tuple[float, float, float]] = []  # bucket, failures, successes

    def enter(self, state: str) -> None:
        self.state, self.since = state, self.clock.now()
        self.era += 1
        self.out = self.good = 0
        if state == CLOSED:
            self.row, self.unseen, self.looked, self.happened = 0, 0, self.clock.now(), []

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.0, 4.0, 20.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(target=calls)
    def call(self) -> tuple[int, int] | None:
        over = self.clock.now() - self.since >= 4.0
        if (self.state == OPEN and over) or (self.state == HALF_OPEN and over and self.out >= self.probes):
            self.enter(HALF_OPEN)
        if self.state == OPEN or (self.state == HALF_OPEN and self.out >= self.probes):
            with pytest.raises(CircuitOpenError):
                self.breaker.admit()
            return None
        if self.state == HALF_OPEN:
            self.out += 1
        return self.breaker.admit(), self.era

    @rule(call=consumes(calls))
    def succeed(self, call: tuple[int, int] | None) -> None:
        if call is None:
            return
        turn, era = call
        self.breaker.succeeded(turn)
        if self.state == CLOSED:
            self.row = 0
            self.unseen += 1
        elif self.state == HALF_OPEN and era == self.era:
            self.good += 1
            if self.good >= self.probes:
                self.enter(CLOSED)

    @rule(call=consumes(calls))
    def fail(self, call: tuple[int, int] | None) -> None:
        if call is None:
            return
        turn, era = call
        self.breaker.failed(turn, OSError())
        if era != self.era or self.state == OPEN:
            return
        if self.state == HALF_OPEN:
            self.enter(OPEN)
            return
        self.row += 1
        if self.row >= self.failures or (self.rate is not None and self.over()):
            self.enter(OPEN)

    def over(self) -> bool:
        assert self.rate is not None
        first, last = int(self.looked), int(self.clock.now())
        share = self.unseen / (last - first + 1)
        self.happened += [(bucket, 0.0, share) for bucket in range(first, last + 1)]
        self.happened.append((last, 1.0, 0.0))
        self.looked, self.unseen = self.clock.now(), 0
        inside = [each for each in self.happened if each[0] > last - BUCKETS]
        failed = sum(each[1] for each in inside)
        called = failed + sum(each[2] for each in inside)
        return called >= self.minimum - 1e-9 and failed >= self.rate * called - 1e-9

    @rule(call=consumes(calls))
    def break_off(self, call: tuple[int, int] | None) -> None:
        if call is None:
            return
        turn, era = call
        self.breaker.abandoned(turn)
        if self.state == HALF_OPEN and era == self.era:
            self.out -= 1

    @invariant()
    def they_agree(self) -> None:
        if hasattr(self, "breaker"):
            assert self.breaker.state == self.state
            if self.state == CLOSED:
                assert self.breaker.failures == self.row


TestBreaker = pytest.mark.slow(BreakerMachine.TestCase)
TestBreaker.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
