"""What a soak reads at the ends of rounds, and its clock, in storage that is made once. Pure but for its clock.

The first tenth of the time is a warm-up, in which nothing is read. A soak that is taken up again in another process
warms up again, while its clock stands still; what is read then is joined to what was read before, for the two processes
have not the same memory in use: only what grows within each counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coresys.clock import monotonic
from coresys.monitoring import Series
from pytest_coresys.engine.looks import LEVEL, Look, Looks

WARM_UP = 0.1  # of the time
READINGS = 400  # at most, in all of the time: to collect garbage before each takes some 20 ms
_LEAST_APART = 0.02  # seconds


class Recording:
    """Series of one soak of so many seconds, one for each of ``keys``, and when it is looked at."""

    def __init__(
        self,
        seconds: float,
        keys: Sequence[str],
        *,
        level: float = LEVEL,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.seconds, self.keys = seconds, tuple(keys)
        self._clock, self._level = clock or monotonic, level
        self._began: float | None = None
        self._base = 0.0  # seconds that other processes have soaked
        self._warm_up = WARM_UP * seconds
        self._apart = max(seconds / READINGS, _LEAST_APART)
        self._next = 0.0
        self._looks = Looks(seconds, level)
        self._series = {key: Series(2 * READINGS) for key in self.keys}
        self._offsets: list[float] | None = None
        self._resumed = False

    def resume(self, saved: Mapping[str, Any]) -> None:
        """Go on from what ``saved`` gave; before ``begin``. KeyError, TypeError and ValueError for anything else."""
        times, values = list(map(float, saved["times"])), {key: saved["values"][key] for key in self.keys}
        if any(len(each) != len(times) for each in values.values()) or not 0 <= float(saved["elapsed"]) < self.seconds:
            raise ValueError("no series of a soak that was not over")
        self._base, self._resumed = float(saved["elapsed"]), True
        self._looks = Looks(self.seconds, self._level, float(saved["looked"]))
        for key, each in values.items():
            for time, value in zip(times, each, strict=True):
                self._series[key].add(time, float(value))

    def begin(self) -> None:
        """The rounds begin."""
        self._began = self._clock()

    @property
    def elapsed(self) -> float:
        """Seconds of the soak that have gone by, in all processes together."""
        if self._began is None:
            return self._base
        now = self._clock() - self._began
        return self._base + max(now - self._warm_up, 0.0) if self._resumed else now

    @property
    def warming(self) -> bool:
        """Whether this process still warms up."""
        return self._began is None or self._clock() - self._began < self._warm_up

    @property
    def over(self) -> bool:
        """Whether the time has gone by."""
        return self.elapsed >= self.seconds

    def due(self) -> bool:
        """Whether it is time for a reading."""
        return not self.warming and self.elapsed >= self._next

    def add(self, values: Sequence[float]) -> None:
        """Take in what was read now, in the order of the keys."""
        now = self.elapsed
        self._next = max(self._next + self._apart, now)  # by a grid: so many in all, however long rounds are
        if self._offsets is None:
            self._offsets = [self._offset(key, value) for key, value in zip(self.keys, values, strict=True)]
        for key, value, offset in zip(self.keys, values, self._offsets, strict=True):
            self._series[key].add(now, value + offset)

    def _offset(self, key: str, value: float) -> float:
        known = self._series[key].readings()[1]
        return known[-1] - value if known else 0.0

    def look(self) -> Look | None:
        """The look that is due now, once."""
        return self._looks.due(self.elapsed)

    def readings(self, key: str) -> tuple[Sequence[float], Sequence[float]]:
        """Times in seconds of the soak, and values."""
        return self._series[key].readings()

    def grown(self, key: str) -> float:
        """What was added since the first reading."""
        values = self.readings(key)[1]
        return values[-1] - values[0] if values else 0.0

    def saved(self) -> dict[str, Any]:
        """All of it as plain values, to be taken up again."""
        return {
            "elapsed": self.elapsed,
            "looked": self._looks.done,
            "times": list(self.readings(self.keys[0])[0]),
            "values": {key: list(self.readings(key)[1]) for key in self.keys},
        }
