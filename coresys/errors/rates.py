"""How often: totals, and rates over the last minute, in a fixed amount of memory a name."""

from __future__ import annotations

from collections.abc import Iterator

OTHERS = "(others)"
_SLOTS = 12
_WIDTH = 5.0  # seconds


class Rate:
    """A total, and how much of it came within the last minute: twelve slots of five seconds, of which the first is
    given up as a whole, so that what is looked at are the last 55 to 60 seconds."""

    __slots__ = ("_at", "_slots", "total")

    def __init__(self) -> None:
        self.total = 0
        self._slots = [0] * _SLOTS
        self._at = 0

    def add(self, now: float, times: int = 1) -> None:
        """Count something that happens now, in seconds of a monotonic clock."""
        self._turn(now)
        self.total += times
        self._slots[self._at % _SLOTS] += times

    def rate(self, now: float) -> float:
        """What happens in a second, at the mean of the last minute."""
        self._turn(now)
        return sum(self._slots) / (_SLOTS * _WIDTH)

    def _turn(self, now: float) -> None:
        at = int(now // _WIDTH)
        for slot in range(max(self._at + 1, at - _SLOTS + 1), at + 1):
            self._slots[slot % _SLOTS] = 0
        self._at = max(self._at, at)


class Rates:
    """Rates by name: of the first ``names`` names that come, and of all others together."""

    __slots__ = ("_bound", "_rates")

    def __init__(self, names: int = 128) -> None:
        if not names >= 1:  # so that NaN is refused, which would bound nothing
            raise ValueError("at least 1 name is counted")
        self._bound = names
        self._rates: dict[str, Rate] = {}

    def add(self, name: str, now: float, times: int = 1) -> None:
        """Count something under a name."""
        rate = self._rates.get(name)
        if rate is None:
            if len(self._rates) >= self._bound:
                name = OTHERS
            rate = self._rates.setdefault(name, Rate())
        rate.add(now, times)

    def totals(self) -> tuple[tuple[str, int], ...]:
        """Name and total, the largest first."""
        return tuple(sorted(((name, rate.total) for name, rate in self._rates.items()), key=_largest))

    def rates(self, now: float) -> tuple[tuple[str, float], ...]:
        """Name and rate of what happened within the last minute, the largest first."""
        found = ((name, rate.rate(now)) for name, rate in self._rates.items())
        return tuple(sorted((pair for pair in found if pair[1]), key=_largest))

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._rates))


def _largest(pair: tuple[str, float]) -> tuple[float, str]:
    return -pair[1], pair[0]
