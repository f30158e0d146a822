"""The last readings of one thing, in storage that is made once."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import compress
from math import isnan


class Series:
    """A ring of times and values. Adding to it keeps nothing: two arrays of numbers are made in the beginning.

    >>> depth = Series(2)
    >>> for time, value in enumerate([7.0, 8.0, 9.0]):
    ...     depth.add(float(time), value)
    >>> depth.readings()
    ([1.0, 2.0], [8.0, 9.0])

    One thread may add at a time; any thread may read meanwhile. Invariant: a reading is whole before ``_added`` counts
    it, and the slot that comes next is not read, for it may be half of the next reading by then: so there is one slot
    more than readings are kept.
    """

    __slots__ = ("_added", "_size", "_times", "_values")

    def __init__(self, capacity: int = 600) -> None:
        if capacity < 1:
            raise ValueError("a series keeps at least 1 reading")
        self._size = capacity + 1
        self._times = array("d", bytes(8 * self._size))
        self._values = array("d", bytes(8 * self._size))
        self._added = 0

    @property
    def capacity(self) -> int:
        """How many readings are kept."""
        return self._size - 1

    @property
    def added(self) -> int:
        """How many readings there ever were."""
        return self._added

    def add(self, time: float, value: float) -> None:
        """Take in a reading; the oldest goes where there are too many. NaN: there was none at that time."""
        at = self._added % self._size
        self._times[at] = time
        self._values[at] = value
        self._added += 1

    def readings(self, since: float | None = None) -> tuple[Sequence[float], Sequence[float]]:
        """Times and values of what is kept, oldest first; those from ``since`` on, and without those that were NaN.

        Times have to be in order for ``since``."""
        end = self._added
        times, values = self._times[:], self._values[:]
        first = max(self._added - self._size + 1, 0)  # asked again: what was overwritten meanwhile is left out
        when, what = self._unrolled(times, first, end), self._unrolled(values, first, end)
        if since is not None:
            begin = bisect_left(when, since)
            del when[:begin], what[:begin]
        # No pairs: the interpreter keeps thousands of small tuples for later, which whoever judges growth would see.
        if any(map(isnan, what)):
            known = [not isnan(value) for value in what]
            when, what = list(compress(when, known)), list(compress(what, known))
        return when, what

    def _unrolled(self, ring: array[float], first: int, end: int) -> list[float]:
        if first >= end:
            return []
        begin, stop = first % self._size, end % self._size
        return (ring[begin:stop] if begin < stop else ring[begin:] + ring[:stop]).tolist()

    def last(self) -> float | None:
        """The last value; None where there is none."""
        while (added := self._added) > 0:
            value = self._values[(added - 1) % self._size]
            if self._added < added + self._size - 1:  # else it was overwritten while we looked
                return None if isnan(value) else value
        return None

    def __len__(self) -> int:
        return min(self._added, self.capacity)

    def __repr__(self) -> str:
        return f"<Series: {len(self)} of {self.capacity} readings, {self._added} in all>"


__all__ = ["Series"]
