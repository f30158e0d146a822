"""Circuit breakers: what failed too often is not called for a while, and then tried with care.

Closed, calls go through. So many failures in a row, or such a share of the calls within a window, open it: calls are
refused with CircuitOpenError, at once. After ``recovery`` seconds a few calls are let through (half-open): when
all of them succeed it closes, when one fails it opens for another ``recovery``.

A success of a closed circuit costs next to nothing: no lock, no clock, no allocation. The price: the window knows when
failures were, of successes only how many there were between two failures, which it takes to be evenly spread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import count
from logging import getLogger
from threading import RLock
from types import TracebackType
from typing import Any, TypeVar

from coresys.clock import Clock, MonotonicClock
from coresys.errors.guards import makes_coroutines, refuse_generators
from coresys.errors.hierarchy import CircuitOpenError
from coresys.forks import free_lock, renew_in_children

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"
log = getLogger("coresys.errors")
_BUCKETS = 16


class CircuitBreaker:
    """The circuit of one thing that may fail. Any number of threads and tasks may call through it.

    ``failures``: in a row, that open it. ``rate``: the share of failures within ``window`` seconds that opens it, where
    there were ``minimum`` calls; None: not looked at. ``recovery``: seconds that it stays open. ``probes``: calls let
    through at a time then, all of which have to succeed. ``counts``: whether an error is a failure of what is called
    (by default every Exception is); any other error shows that it answers. Cancellations and requests to end say
    nothing of it. ``changed`` is told of each change of state, outside of any lock: the breaker, from, to; what it
    raises goes to the log, for the caller's result or error is not its to replace.

    >>> from coresys.testing.fakes import FakeClock
    >>> clock = FakeClock()
    >>> breaker = CircuitBreaker("payments", failures=1, recovery=30, clock=clock)
    >>> def pay():
    ...     raise ConnectionError
    >>> for _ in range(2):
    ...     try:
    ...         breaker.call(pay)
    ...     except (ConnectionError, CircuitOpenError) as error:
    ...         print(type(error).__name__, breaker.state)
    ConnectionError open
    CircuitOpenError open
    >>> clock.advance(30)
    >>> breaker.call(str), breaker.state
    ('', 'closed')
    """

    __slots__ = (
        *(
            "__weakref__",
            "_at",
            "_buckets",
            "_changed",
            "_clock",
            "_consecutive",
            "_count",
            "_counts",
            "_failures",
            "_lock",
        ),
        *("_looked", "_minimum", "_name", "_probes", "_rate", "_recovery", "_since", "_spread", "_state", "_succeeded"),
        *("_success", "_tried", "_turn", "_why", "_width"),
    )

    def __init__(
        self,
        name: str = "circuit",
        *,
        failures: int = 5,
        rate: float | None = None,
        window: float = 60.0,
        minimum: int = 20,
        recovery: float = 30.0,
        probes: int = 1,
        counts: Callable[[BaseException], bool] | None = None,
        changed: Callable[[CircuitBreaker, str, str], object] | None = None,
        clock: Clock | None = None,
    ) -> None:
        # As what has to hold, here and elsewhere: NaN is neither too small nor anything else that it is compared with.
        if not (failures >= 1 and probes >= 1 and minimum >= 1 and window > 0 and recovery >= 0):
            raise ValueError("failures, probes and minimum are at least 1, window more than 0, recovery at least 0")
        if rate is not None and not 0 < rate <= 1:
            raise ValueError("rate is a share of calls, more than 0 and at most 1")
        self._name, self._failures, self._rate, self._minimum = name, failures, rate, minimum
        self._recovery, self._probes, self._width = recovery, probes, window / _BUCKETS
        self._counts, self._changed = counts, changed
        self._clock: Clock = clock or MonotonicClock()
        # Of all that follows; a leaf. Re-entrant, for finalizers and signal handlers that call through this circuit.
        # A success of a closed circuit is written without it.
        self._lock = RLock()
        renew_in_children(self, free_lock)
        self._state = CLOSED
        self._consecutive = 0
        self._since = 0.0  # when it was opened, or let probes through
        self._turn = 0  # number of the present state: what began in an earlier one says nothing
        self._tried = self._succeeded = 0  # probes of this turn
        self._why = ""
        self._success = count().__next__  # atomic, as += is not
        self._count = 0  # successes and looks that were drawn from it
        self._looked = self._clock.now()
        self._buckets: dict[int, list[float]] = {}  # by time: failures, successes

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What it is the circuit of."""
        return self._name

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``; open until somebody calls, also when the time is over."""
        return self._state

    @property
    def turn(self) -> int:
        """The number of its state: what began in an earlier one says nothing about this."""
        return self._turn

    @property
    def failures(self) -> int:
        """Failures in a row until now."""
        return self._consecutive

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self._name}: {self._state}, {self._consecutive} failures in a row>"

    # -- a call in three steps, for whoever does not call a function -------------------------------------------------

    def admit(self) -> int:
        """Ask before a call; returns what ``succeeded`` or ``failed`` have to be given. Raises CircuitOpenError."""
        turn = self._turn  # first: what begins while the state changes belongs to the earlier one, and says nothing
        if self._state is CLOSED:
            return turn
        now = self._clock.now()
        with self._lock:
            before = self._state
            if before is CLOSED:
                return self._turn
            waited = now - self._since
            # Probes that never come back must not keep it half-open for ever.
            if waited >= self._recovery and (before is OPEN or self._tried >= self._probes):
                self._enter(HALF_OPEN, now)
            if self._state is OPEN or self._tried >= self._probes:
                raise CircuitOpenError(
                    circuit=self._name, retry_after=round(max(0.0, self._recovery - waited), 3), failures=self._why
                )
            self._tried += 1
            turn, after = self._turn, self._state
        self._tell(before, after)
        return turn

    def succeeded(self, turn: int) -> None:
        """The call succeeded."""
        if self._state is CLOSED:
            if self._consecutive:
                self._consecutive = 0
            if self._rate is not None:
                self._success()
            return
        with self._lock:
            before = self._state
            if before is not HALF_OPEN or turn != self._turn:
                return
            self._succeeded += 1
            if self._succeeded >= self._probes:
                self._enter(CLOSED, self._clock.now())
            after = self._state
        self._tell(before, after)

    def failed(self, turn: int, error: BaseException) -> None:
        """The call raised ``error``, whether that is a failure or not."""
        if not isinstance(error, Exception):
            self.abandoned(turn)
        elif self._counts is not None and not self._counts(error):
            self.succeeded(turn)
        else:
            self._fail(turn)

    def abandoned(self, turn: int) -> None:
        """The call was broken off: a probe that says nothing makes room for another."""
        with self._lock:
            if self._state is HALF_OPEN and turn == self._turn:
                self._tried -= 1

    def _fail(self, turn: int) -> None:
        now = self._clock.now()
        with self._lock:
            before = self._state
            if turn != self._turn or before is OPEN:
                return
            if before is HALF_OPEN:
                self._why = "the call that was to try it failed"
                self._enter(OPEN, now)
            else:
                self._consecutive += 1
                if self._consecutive >= self._failures:
                    self._why = f"{self._consecutive} failures in a row"
                    self._enter(OPEN, now)
                elif self._rate is not None and self._is_over_rate(now, self._rate):
                    self._enter(OPEN, now)
            after = self._state
        self._tell(before, after)

    # -- with the lock held ------------------------------------------------------------------------------------------

    def _enter(self, state: str, now: float) -> None:
        self._state, self._since = state, now
        self._turn += 1
        self._tried = self._succeeded = 0
        if state is CLOSED:
            self._consecutive = 0
            self._buckets.clear()
            self._count = self._success() + 1
            self._looked = now

    def _is_over_rate(self, now: float, rate: float) -> bool:
        now = max(now, self._looked)  # another thread may have read its clock later, and been here before
        drawn = self._success()
        successes, self._count = drawn - self._count, drawn + 1
        first, last = int(self._looked // self._width), int(now // self._width)
        oldest = last - _BUCKETS + 1
        if successes:  # evenly over the buckets since the last look
            share = successes / (last - first + 1)
            for at in range(max(first, oldest), last + 1):
                self._buckets.setdefault(at, [0, 0])[1] += share
        self._looked = now
        self._buckets.setdefault(last, [0, 0])[0] += 1
        for at in [at for at in self._buckets if at < oldest]:
            del self._buckets[at]
        failures = sum(bucket[0] for bucket in self._buckets.values())
        calls = failures + sum(bucket[1] for bucket in self._buckets.values())
        if calls < self._minimum - 1e-9 or failures < rate * calls - 1e-9:
            return False
        self._why = f"{failures:.0f} of {calls:.0f} calls failed within {self._width * _BUCKETS:g} s"
        return True

    def _tell(self, before: str, after: str) -> None:
        if before is after or self._changed is None:
            return
        try:
            self._changed(self, before, after)
        except Exception:
            log.exception("who is told that circuit %r went from %s to %s raised", self._name, before, after)

    # -- as a call, a decorator and a block --------------------------------------------------------------------------

    def call(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call a function through the circuit. Raises CircuitOpenError without calling it where that is open."""
        turn = self.admit()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            self.failed(turn, error)
            raise
        self.succeeded(turn)
        return result

    def __call__(self, function: F) -> F:
        """The function, or coroutine function, called through the circuit. Raises TypeError for generators."""
        wrapper: Any
        refuse_generators(function, "calling()")
        admit, failed, succeeded, success = self.admit, self.failed, self.succeeded, self._success
        counted, closed = self._rate is not None, CLOSED
        if makes_coroutines(function):

            @wraps(function)
            async def through_async(*args: Any, **kwargs: Any) -> Any:
                turn = admit()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    failed(turn, error)
                    raise
                succeeded(turn)
                return result

            wrapper = through_async
        else:

            @wraps(function)
            def through(*args: Any, **kwargs: Any) -> Any:
                # What admit and succeeded do for a closed circuit, without calling them.
                turn = self._turn
                if self._state is not closed:
                    turn = admit()
                try:
                    result = function(*args, **kwargs)
                except BaseException as error:
                    failed(turn, error)
                    raise
                if self._state is closed:
                    if self._consecutive:
                        self._consecutive = 0
                    if counted:
                        success()
                else:
                    succeeded(turn)
                return result

            wrapper = through
        wrapper.circuit = self
        return wrapper  # type: ignore[no-any-return]  # wraps keeps what F says of it

    def calling(self) -> Calling:
        """A block that is a call: ``with breaker.calling(): ...``, in coroutines too."""
        return Calling(self)


class Calling:
    """One block that goes through a circuit."""

    __slots__ = ("_breaker", "_turn")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._turn = -1

    def __enter__(self) -> None:
        self._turn = self._breaker.admit()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._breaker.succeeded(self._turn)
        else:
            self._breaker.failed(self._turn, error)


class CircuitBreakers:
    """A circuit for each key (a host, an account), made when it is first asked for: ``breakers["db-2"].call(ask)``.

    ``make`` makes one, by its key. Of more than ``most`` keys those are forgotten that were made first, closed ones
    without a failure before others. Any thread may use it.
    """

    __slots__ = ("__weakref__", "_breakers", "_lock", "_make", "_most")

    def __init__(self, make: Callable[[str], CircuitBreaker] = CircuitBreaker, *, most: int = 1024) -> None:
        if not most >= 1:
            raise ValueError("at least one circuit is kept")
        self._make, self._most = make, most
        self._lock = RLock()  # a finalizer may ask in the midst of this
        renew_in_children(self, free_lock)
        self._breakers: dict[str, CircuitBreaker] = {}

    def __getitem__(self, key: str) -> CircuitBreaker:
        breaker = self._breakers.get(key)  # without the lock: a dictionary is read whole
        if breaker is not None:
            return breaker
        made = self._make(key)
        with self._lock:
            if key not in self._breakers and len(self._breakers) >= self._most:
                quiet = (each for each, old in self._breakers.items() if old.state is CLOSED and not old.failures)
                del self._breakers[next(quiet, next(iter(self._breakers)))]
            return self._breakers.setdefault(key, made)

    def __len__(self) -> int:
        return len(self._breakers)

    def states(self) -> tuple[tuple[str, str], ...]:
        """Key and state of each, in the order in which they were made."""
        with self._lock:
            return tuple((key, breaker.state) for key, breaker in self._breakers.items())
