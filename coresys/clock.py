"""Time as a dependency: whatever waits or measures takes a Clock, so that tests need not sleep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from time import sleep
from typing import Protocol

# What code under test puts in the place of time.monotonic (a fake, a frozen clock) must not stop the clock of whoever
# measures it. These are not looked up in ``time`` again, are none of the functions that freezegun looks for in every
# module, and ask for a clock that time-machine leaves alone.
monotonic: Callable[[], float] = time.monotonic
monotonic_ns: Callable[[], int] = time.monotonic_ns
time_of_day: Callable[[], float] = time.time
if hasattr(time, "clock_gettime"):  # not on Windows
    monotonic = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    monotonic_ns = partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)


def pauses(until: float, each: float, *, least: int = 30) -> Iterator[None]:
    """Sleep again and again, ``each`` seconds, until that time has come: a grace for what is about to end.

    But ``least`` times, whatever the clock says: while a machine stood still, time went by that nobody had.
    """
    count = 0
    while count < least or monotonic() < until:
        sleep(each)
        count += 1
        yield


class Clock(Protocol):
    """A monotonic clock, in seconds."""

    def now(self) -> float:
        """Seconds since some fixed point; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of this clock."""


class WallClock(Clock, Protocol):
    """A clock that knows the time of day too: for what has to mean something after a restart."""

    def time(self) -> float:
        """Seconds since 1970 (UTC); may be set back by whoever sets the machine's clock."""


class MonotonicClock:
    """The machine's own clocks. The methods are the C functions themselves: whoever keeps one calls no Python."""

    now = staticmethod(monotonic)
    time = staticmethod(time_of_day)
    sleep = staticmethod(sleep)


__all__ = ["Clock", "MonotonicClock", "WallClock", "monotonic", "monotonic_ns", "pauses", "sleep", "time_of_day"]
