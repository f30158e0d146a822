"""A clock that stands still while others have the processor."""

from __future__ import annotations

from coresys.clock import monotonic
from coresys.measure.meters import ProcFile


class UndisturbedClock:
    """Wall time, less the time that the main thread was ready to run and had to wait for a processor. In seconds.

    On a machine with more to do than processors, code takes twice as long or more, and has not used more of it.
    From ``run_delay``, the second figure of /proc/PID/schedstat
    (https://docs.kernel.org/scheduler/sched-stats.html); where the system has none, wall time.
    """

    def __init__(self) -> None:
        self._file: ProcFile | None = None
        try:
            self._file = ProcFile("/proc/self/schedstat", 128)
        except NotImplementedError:
            pass
        self._at_first = self._delay()

    def now(self) -> float:
        """Seconds since some fixed point; never goes back by more than the time between two readings."""
        return monotonic() - self._delay()

    def waited(self) -> float:
        """Seconds that it stood still since it was made."""
        return self._delay() - self._at_first

    def _delay(self) -> float:
        if self._file is None:
            return 0.0
        try:
            return int(self._file.read().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0
