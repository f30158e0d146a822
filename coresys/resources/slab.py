"""The memory of one tier: a mapping that is cut in slots, and costs nothing until a slot is used.

Not safe among threads: the pool that has it holds its lock around each call.

Invariant: a slot is in exactly one place: ``warm`` (used before, and free), ``cold`` (free, and all zero), above
``fresh`` (never used, and all zero), or with whoever took it. ``exposed[slot]`` is how many of its first bytes anybody
could write since it was zero; so no more than that has to be zeroed.

Which slots were not used for a while is known without a time for each: the last that was given back is the first that
is taken, so those at the left of ``warm`` stay there. As many as ``warm`` had at the least since a moment have not been
touched since then (``mark`` makes these the ``surplus``, and begins anew).
"""

from __future__ import annotations

import mmap
from collections import deque

from coresys.measure.meters import PAGE
from coresys.measure.reserved import register
from coresys.resources.tiers import Tier


def _map(size: int) -> mmap.mmap:
    flags = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
    # Private: what a forked child writes is its own. The default of mmap() is to share.
    mapping = mmap.mmap(-1, size, flags=flags) if flags else mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        try:
            mapping.madvise(mmap.MADV_NOHUGEPAGE)  # else the first byte of a small slot may take 2 MiB
        except OSError:  # a kernel without huge pages
            pass
    return mapping


class Slab:
    """The slots of one tier."""

    __slots__ = (
        "__weakref__",
        "_mapping",
        "_zeros",
        "base",
        "cold",
        "exposed",
        "fresh",
        "is_forsaken",
        "last",
        "least",
        "slot",
        "slots",
        "surplus",
        "warm",
    )

    def __init__(self, tier: Tier) -> None:
        self.slot, self.slots = tier.slot, tier.slots
        self.is_forsaken = False  # it is another process's, and lends nothing here
        self._mapping = self._make(tier.slot * tier.slots)
        self.base = memoryview(self._mapping)
        self._zeros = memoryview(_map(tier.slot)).toreadonly()  # never written, so never there
        self.warm: deque[int] = deque()  # the one that was given back last is on the right: it may still be in a cache
        self.cold: list[int] = []
        self.fresh = 0
        self.least = 0  # so many were warm at any time since the mark
        self.surplus = 0  # so many of these were not used from the mark before until then
        self.exposed = [0] * tier.slots
        self.last: list[object] = [None] * tier.slots  # whoever had it last
        register(self)

    def _make(self, size: int) -> mmap.mmap:
        return _map(size)

    @property
    def _advice(self) -> int | None:
        """What gives memory back, where something does."""
        return getattr(mmap, "MADV_DONTNEED", None)

    @property
    def untouched(self) -> int:
        """Bytes that are mapped and were never used, or were given back since: no memory is there."""
        if self._mapping.closed:
            return 0
        return (self.slots - self.fresh + len(self.cold)) * self.slot + len(self._zeros)

    @property
    def free(self) -> int:
        """How many slots nobody has."""
        return 0 if self.is_forsaken else len(self.warm) + len(self.cold) + self.slots - self.fresh

    @property
    def idle(self) -> int:
        """How many slots were used before and are free: memory that is there for nobody."""
        return len(self.warm)

    def take(self) -> int:
        """A slot that nobody has. Raises IndexError where there is none."""
        if self.warm:
            slot = self.warm.pop()
            if len(self.warm) < self.least:
                self.least = len(self.warm)
        elif self.cold:
            slot = self.cold.pop()
        elif self.fresh < self.slots:
            slot, self.fresh = self.fresh, self.fresh + 1
        else:
            raise IndexError("no slot is free")
        return slot

    def view(self, number: int, size: int) -> memoryview:
        """The first ``size`` bytes of a slot, to be written."""
        at = number * self.slot
        if size > self.exposed[number]:
            self.exposed[number] = size
        return self.base[at : at + size]

    def put_back(self, number: int) -> None:
        """Nobody has the slot any more."""
        self.warm.append(number)

    def zero(self, number: int) -> None:
        """Make what anybody may have written in a slot zero."""
        dirty = self.exposed[number]
        if dirty:
            at = number * self.slot
            self.base[at : at + dirty] = self._zeros[:dirty]
            self.exposed[number] = 0

    def fill(self, number: int, byte: int) -> None:
        """Write one byte over all that was exposed of a slot."""
        at, dirty = number * self.slot, self.exposed[number]
        self.base[at : at + dirty] = bytes((byte,)) * dirty

    def is_filled(self, number: int, byte: int) -> bool:
        """Whether ``fill`` was the last that wrote there."""
        at, dirty = number * self.slot, self.exposed[number]
        return self.base[at : at + dirty] == bytes((byte,)) * dirty

    def cool(self, most: int) -> int:
        """Give the memory of the slots back that have been free for longest, all but ``most``; returns the bytes.

        Only whole pages can be given back; of tiers whose slots are none, nothing is. Where this is interrupted, a slot
        may be in two places: ``renew`` puts that right.
        """
        advice = self._advice
        if advice is None or self.slot % PAGE:
            return 0
        given = 0
        while len(self.warm) > most:
            number = self.warm[0]
            self._mapping.madvise(advice, number * self.slot, self.slot)
            self.exposed[number] = 0
            self.cold.append(number)
            self.warm.popleft()
            given += self.slot
        self.least = min(self.least, len(self.warm))
        return given

    def mark(self) -> None:
        """Those that were not used since the mark before may cool from now on."""
        self.surplus, self.least = self.least, len(self.warm)

    def cool_surplus(self, most: int) -> int:
        """Give the memory of slots back that were not used for long, ``most`` bytes and a slot; returns the bytes."""
        count = min(self.surplus, self.least, most // self.slot + 1)
        if count <= 0:
            self.surplus = 0
            return 0
        surplus, least = self.surplus - count, self.least - count
        given = self.cool(len(self.warm) - count)
        self.surplus, self.least = (surplus, least) if given else (0, self.least)
        return given

    def renew(self, taken: set[int]) -> None:
        """Put everything right again after an interruption: those taken are with others, all else is free."""
        if self.is_forsaken:
            return
        free = [number for number in range(self.fresh) if number not in taken]
        self.cold = [number for number in free if not self.exposed[number]]
        self.warm = deque(number for number in free if self.exposed[number])
        self.least = self.surplus = 0  # who was used last is not known any more

    def close(self) -> None:
        """Give the mapping back. Raises BufferError while anything stands on it, and changes nothing then."""
        self.base.release()
        try:
            self._mapping.close()
        except BufferError:  # of a slice, which outlives the view that it was made from
            self.base = memoryview(self._mapping)
            raise
