"""Trying again: exponential back-off with full jitter, a budget, and a deadline; sync and async.

What is at hand is what users of tenacity know: ``retry(...)`` decorates, ``Retrying(...)`` is called or iterated over.
What differs: tries end by default (after 5), the last error is raised as it is (as with ``reraise=True``), and errors
of a program that is told to end are never retried.

A call that succeeds at once pays for one more function call and a ``try``: no state is made, no clock read (unless
there is a deadline) before the first failure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, Union, overload

from coresys.clock import Clock, MonotonicClock
from coresys.errors.backoff import RetryState, Stop, Wait, is_timed, stop_after_attempt, wait_random_exponential
from coresys.errors.budget import RetryBudget
from coresys.errors.guards import makes_coroutines, refuse_generators

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
RetryOn = Union[type[BaseException], "tuple[type[BaseException], ...]", Callable[[BaseException], bool]]

_STOP = stop_after_attempt(5)
_WAIT = wait_random_exponential(multiplier=0.1, max=10.0)
_NOT_GIVEN: Any = object()


class Retrying:
    """A rule for trying again; has no state but its budget, so that any number of calls may use one at once.

    ``retry_on``: a class, several, or a predicate of the exception. ``stop``, ``wait``: see coresys.errors.backoff.
    ``deadline``: no attempt begins more than that many seconds after the first did; there is no waiting that would
    lead beyond. ``budget``: see RetryBudget; where it is spent, the error is raised. ``before_sleep``: is told the
    state before each wait. ``sleep``, ``async_sleep``: instead of the clock's and asyncio's.

    >>> from coresys.testing.fakes import FakeClock
    >>> answers = iter([OSError("gone"), OSError("still gone"), "here"])
    >>> def ask():
    ...     answer = next(answers)
    ...     if isinstance(answer, OSError):
    ...         raise answer
    ...     return answer
    >>> Retrying(retry_on=OSError, clock=FakeClock())(ask)
    'here'
    """

    __slots__ = (
        *("_async_sleep", "_before_sleep", "_budget", "_classes", "_clock"),
        *("_deadline", "_predicate", "_sleep", "_stop", "_timed", "_wait"),
    )

    def __init__(
        self,
        *,
        retry_on: RetryOn = Exception,
        stop: Stop = _STOP,
        wait: Wait = _WAIT,
        deadline: float | None = None,
        budget: RetryBudget | None = None,
        before_sleep: Callable[[RetryState], object] | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], object] | None = None,
        async_sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        if deadline is not None and not deadline >= 0:  # so that NaN is refused, which no time goes beyond
            raise ValueError("a deadline is a number of seconds from the start")
        self._classes: tuple[type[BaseException], ...] = ()
        self._predicate: Callable[[BaseException], bool] | None = None
        if isinstance(retry_on, tuple):
            self._classes = retry_on
        elif isinstance(retry_on, type):
            self._classes = (retry_on,)
        else:
            self._predicate = retry_on
        self._stop, self._wait, self._deadline, self._budget = stop, wait, deadline, budget
        self._before_sleep = before_sleep
        self._clock: Clock = clock or MonotonicClock()
        self._sleep = sleep or self._clock.sleep
        self._async_sleep = async_sleep or _sleep_async
        self._timed = deadline is not None or is_timed(stop) or is_timed(wait)

    @property
    def timed(self) -> bool:
        """Whether it needs to know when the call began."""
        return self._timed

    # -- deciding ----------------------------------------------------------------------------------------------------

    def begin(self) -> RetryState:
        """The state of a call that begins now."""
        return RetryState(self._clock.now() if self._timed else 0.0)

    def pause(self, state: RetryState, error: BaseException) -> float | None:
        """Seconds to wait before the next attempt, after this one failed; None: there is none.

        Takes from the budget only if everything else allows another attempt. The state then stands at that attempt.
        """
        if not self.retries(error):
            return None
        if self._timed:
            state.seconds_since_start = self._clock.now() - state.started
        seconds = state.upcoming_sleep = max(0.0, self._wait(state))
        if self._stop(state):
            return None
        if self._deadline is not None and state.seconds_since_start + seconds > self._deadline:
            return None
        if self._budget is not None and not self._budget.take():
            return None
        if self._before_sleep is not None:
            self._before_sleep(state)
        state.attempt_number += 1
        state.idle_for += seconds
        return seconds

    def retries(self, error: BaseException) -> bool:
        """Whether it is an error after which to try again, if nothing else forbids it."""
        if self._predicate is not None:
            return isinstance(error, Exception) and self._predicate(error)
        return isinstance(error, self._classes) and (
            isinstance(error, Exception) or type(error) in self._classes  # a cancellation only if it is named
        )

    # -- as a call ---------------------------------------------------------------------------------------------------

    def __call__(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call a function until it succeeds or there is no further attempt; raises the error of the last one."""
        state = self.begin() if self._timed else None
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            state = state or RetryState()
            seconds = self.pause(state, error)
            if seconds is None:
                raise
        return self._again(state, seconds, function, args, kwargs)

    def _again(
        self, state: RetryState, seconds: float, function: Callable[..., T], args: tuple[Any, ...], kwargs: Any
    ) -> T:
        # Outside of the first handler: that error is gone now, and is not the context of those that follow.
        while True:
            self._sleep(seconds)
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                following = self.pause(state, error)
                if following is None:
                    raise
                seconds = following

    async def call_async(self, function: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> T:
        """The same for a coroutine function."""
        state = self.begin()
        while True:
            try:
                return await function(*args, **kwargs)
            except BaseException as error:
                seconds = self.pause(state, error)
                if seconds is None:
                    raise
            await self._async_sleep(seconds)

    # -- as a decorator ----------------------------------------------------------------------------------------------

    def wrap(self, function: F) -> F:
        """The function, or coroutine function, tried again by this rule. Raises TypeError for generators."""
        wrapper: Any
        refuse_generators(function, "the loop of attempts")
        if makes_coroutines(function):

            @wraps(function)
            async def retried_coroutine(*args: Any, **kwargs: Any) -> Any:
                return await self.call_async(function, *args, **kwargs)

            wrapper = retried_coroutine
        elif self._timed:
            now = self._clock.now

            @wraps(function)
            def retried_in_time(*args: Any, **kwargs: Any) -> Any:
                started = now()
                try:
                    return function(*args, **kwargs)
                except BaseException as error:
                    state = RetryState(started)
                    seconds = self.pause(state, error)
                    if seconds is None:
                        raise
                return self._again(state, seconds, function, args, kwargs)

            wrapper = retried_in_time
        else:
            pause, again = self.pause, self._again

            @wraps(function)
            def retried(*args: Any, **kwargs: Any) -> Any:
                try:
                    return function(*args, **kwargs)
                except BaseException as error:
                    state = RetryState()
                    seconds = pause(state, error)
                    if seconds is None:
                        raise
                return again(state, seconds, function, args, kwargs)

            wrapper = retried
        wrapper.retry = self  # as with tenacity
        return wrapper  # type: ignore[no-any-return]  # wraps keeps what F says of it

    # -- as a loop ---------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Attempt]:
        """Attempts: ``for attempt in retrying: with attempt: ...`` ends when a block succeeds, or raises its error."""
        attempt = Attempt(self, self.begin())
        while True:
            yield attempt
            if attempt.done:
                return
            self._sleep(attempt.seconds)
            attempt = Attempt(self, attempt.retry_state)

    async def __aiter__(self) -> AsyncIterator[Attempt]:
        """The same for ``async for``."""
        attempt = Attempt(self, self.begin())
        while True:
            yield attempt
            if attempt.done:
                return
            await self._async_sleep(attempt.seconds)
            attempt = Attempt(self, attempt.retry_state)

    def __repr__(self) -> str:
        on = self._predicate or ", ".join(cls.__name__ for cls in self._classes)
        return f"<Retrying on {on}>"


class Attempt:
    """One attempt: a block that may fail. It swallows the error when there will be another attempt."""

    __slots__ = ("_retrying", "done", "retry_state", "seconds")

    def __init__(self, retrying: Retrying, state: RetryState) -> None:
        self._retrying = retrying
        self.retry_state = state
        self.seconds = 0.0
        self.done = True  # a loop body that has no such block runs once

    @property
    def num(self) -> int:
        """Which attempt this is, from 1."""
        return self.retry_state.attempt_number

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        seconds = self._retrying.pause(self.retry_state, error)
        if seconds is None:
            return False
        self.seconds, self.done = seconds, False
        return True


@overload
def retry(function: F, /) -> F: ...


@overload
def retry(
    *,
    retry_on: RetryOn = ...,
    stop: Stop = ...,
    wait: Wait = ...,
    deadline: float | None = ...,
    budget: RetryBudget | None = ...,
    before_sleep: Callable[[RetryState], object] | None = ...,
    clock: Clock | None = ...,
    sleep: Callable[[float], object] | None = ...,
    async_sleep: Callable[[float], Awaitable[object]] | None = ...,
) -> Callable[[F], F]: ...


def retry(function: Any = _NOT_GIVEN, /, **rule: Any) -> Any:
    """Decorate a function, or coroutine function: it is tried again by such a rule (see Retrying).

    ``@retry`` without brackets is the rule that there is by default. Raises TypeError for anything else that is not
    given by keyword, as a class of errors: that would be called in place of the function.
    """
    wrap = Retrying(**rule).wrap
    if function is _NOT_GIVEN:
        return wrap
    if not callable(function) or (isinstance(function, type) and issubclass(function, BaseException)):
        raise TypeError(f"retry decorates a function, not {function!r}: what it retries on is given by keyword")
    return wrap(function)


async def _sleep_async(seconds: float) -> None:
    from asyncio import sleep  # not needed by programs that have no coroutines

    await sleep(seconds)
