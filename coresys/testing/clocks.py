"""The clock of one environment: the machine's own, and as far ahead of it as a test has moved it."""

from __future__ import annotations

from coresys.clock import MonotonicClock
from coresys.threads.atomics import AtomicReference


class MovableClock:
    """Goes as the machine's clocks do, and can be moved on: for whoever has it, and nobody else.

    >>> clock = MovableClock()
    >>> before = clock.now()
    >>> clock.advance(3600)
    >>> clock.now() - before >= 3600
    True

    To sleep takes the time that it takes: ``FakeClock`` is for tests whose subjects may not wait at all. Whoever waits
    already, a thread for a timer, say, does not see that it was moved: ``StateManager.run_due`` fires what is due.
    """

    __slots__ = ("_ahead",)

    def __init__(self) -> None:
        self._ahead: AtomicReference[float] = AtomicReference(0.0)

    def now(self) -> float:
        """Seconds since some point."""
        return MonotonicClock.now() + self._ahead.get()

    def time(self) -> float:
        """The time of day, in seconds since 1970, as far ahead."""
        return MonotonicClock.time() + self._ahead.get()

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""
        MonotonicClock.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Move it on. Raises ValueError for less than nothing: a monotonic clock never goes back."""
        if not seconds >= 0:
            raise ValueError(f"a clock is moved on, not by {seconds!r} seconds")
        self._ahead.update(lambda ahead: ahead + seconds)


__all__ = ["MovableClock"]
