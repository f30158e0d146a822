"""When a soak is looked at, and how sure one has to be at each look. Pure.

Who looks four times at a growing pile of data, each time with an interval of 95 %, is wrong by chance more often than
one time in twenty. So the 5 % are *spent* over the looks, little at first, by the function of Lan and DeMets
("Discrete sequential boundaries for clinical trials", Biometrika 70, 1983, pages 659-663) that goes as the bounds of
O'Brien and Fleming do ("A multiple testing procedure for clinical trials", Biometrics 35, 1979, pages 549-556):

    spent(t) = 2 - 2 * Phi(z / sqrt(t)),   z = Phi^-1(1 - level / 2),   t = the part of the time that has gone by

Each look is judged at what is spent between it and the one before, as Bonferroni would: by the union bound the whole is
never more than the level, however the looks depend on one another. (Bounds that are integrated over a Brownian motion
would be a little wider, and the slope of a series that goes on is none.)
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any, get_args

from coresys.budgets.model import Status

SHARES = (0.25, 0.5, 0.75, 1.0)
LEVEL = 0.05  # two-sided, of all looks together
_NORMAL = NormalDist()


def spent(share: float, level: float = LEVEL) -> float:
    """How much of the level is spent when so much of the time has gone by."""
    if share <= 0:
        return 0.0
    return 2 - 2 * _NORMAL.cdf(_NORMAL.inv_cdf(1 - level / 2) / sqrt(min(share, 1.0)))


@dataclass(frozen=True, slots=True)
class Look:
    """A look at ``share`` of the time, to be judged at ``level`` (0.01: an interval of 99 %)."""

    share: float
    level: float


class Looks:
    """The looks of one soak of so many seconds. One that a long round skipped is not made up for: what it might have
    spent goes to the next one."""

    def __init__(self, seconds: float, level: float = LEVEL, done: float = 0.0) -> None:
        self._seconds, self._level = seconds, level
        self.done = done  # the share at which the last look was

    def due(self, elapsed: float) -> Look | None:
        """The look that is due after so many seconds, once."""
        passed = [share for share in SHARES if self.done < share and share * self._seconds <= elapsed]
        if not passed:
            return None
        before, self.done = self.done, passed[-1]
        return Look(self.done, spent(self.done, self._level) - spent(before, self._level))


class Looked:
    """What was seen at the looks so far, as numbers in one array: a dict for each would be growth of ours."""

    _NUMBERS = 6

    def __init__(self) -> None:
        self._numbers = array("d", bytes(8 * self._NUMBERS * len(SHARES)))
        self._count = 0

    def add(self, share: float, level: float, status: Status, rate: float, low: float, high: float) -> None:
        """One look. Raises ValueError for a status that is none, IndexError for a look too many."""
        at = self._count * self._NUMBERS
        for number, value in enumerate((share, level, _STATUSES.index(status), rate, low, high)):
            self._numbers[at + number] = value
        self._count += 1

    @property
    def last_level(self) -> float | None:
        return self._numbers[(self._count - 1) * self._NUMBERS + 1] if self._count else None

    @property
    def last_was_over(self) -> bool:
        return bool(self._count) and self.entries()[-1]["verdict"] == "over"

    def entries(self) -> list[dict[str, Any]]:
        """As the run file has them."""
        found = []
        for at in range(0, self._count * self._NUMBERS, self._NUMBERS):
            share, level, status, rate, low, high = self._numbers[at : at + self._NUMBERS]
            entry = {"at": share, "level": level, "verdict": _STATUSES[int(status)], "rate": rate}
            found.append({**entry, "interval": [low, high]})
        return found


_STATUSES: tuple[Status, ...] = get_args(Status)
