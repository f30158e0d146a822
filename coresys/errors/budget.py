"""A budget of retries, so that a failing dependency is not called several times as often as a working one."""

from __future__ import annotations

from threading import RLock

from coresys.clock import Clock, MonotonicClock
from coresys.forks import free_lock, renew_in_children


class RetryBudget:
    """A bucket of tokens: each retry takes one, ``per_second`` come back, and there are never more than ``burst``.

    Shared by everything that calls one dependency, whatever the number of threads: in any ``t`` seconds there are no
    more than ``burst + per_second * t`` retries. First attempts take nothing.

    >>> from coresys.testing.fakes import FakeClock
    >>> clock = FakeClock()
    >>> budget = RetryBudget(per_second=0.5, burst=2, clock=clock)
    >>> [budget.take() for _ in range(3)]
    [True, True, False]
    >>> clock.advance(2)
    >>> budget.take(), budget.take()
    (True, False)
    """

    __slots__ = ("__weakref__", "_at", "_clock", "_lock", "_refused", "_taken", "_tokens", "burst", "per_second")

    def __init__(self, *, per_second: float, burst: float, clock: Clock | None = None) -> None:
        if not (per_second >= 0 and burst >= 1):  # so that NaN is refused
            raise ValueError("per_second is at least 0, burst at least 1")
        self.per_second, self.burst = per_second, burst
        self._clock: Clock = clock or MonotonicClock()
        self._lock = RLock()  # a signal handler may come in between
        renew_in_children(self, free_lock)
        self._tokens = float(burst)
        self._at = self._clock.now()
        self._taken = self._refused = 0

    def take(self) -> bool:
        """Take a token, if there is one; waits for nothing."""
        now = self._clock.now()
        with self._lock:
            # Of two threads the later one may come with the earlier time: nothing comes back for that.
            if now > self._at:
                self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_second)
                self._at = now
            # What was added up in parts may be short of a whole one by the last bit.
            if self._tokens >= 1.0 - 1e-9:
                self._tokens = max(0.0, self._tokens - 1.0)
                self._taken += 1
                return True
            self._refused += 1
            return False

    @property
    def taken(self) -> int:
        """Retries that were allowed."""
        return self._taken

    @property
    def refused(self) -> int:
        """Retries that were not."""
        return self._refused

    def __repr__(self) -> str:
        return f"<RetryBudget: {self._tokens:.1f} of {self.burst:g} left, {self._taken} taken, {self._refused} refused>"
