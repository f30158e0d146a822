"""Resources: a dictionary of bytearrays by size, made as they are asked for and kept in lists for the next.

Who holds how much is added up in a dictionary, without a lock. Nothing is reserved, nothing made zero, nobody waits,
and what was given back can be written to still.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from coresys.errors.hierarchy import DuplicateResourceError, LeaseLimitError, LeaseSizeError, PoolExhaustedError
from coresys.system_records import LeaseRecord, OwnerUsage, PoolStatistics

if TYPE_CHECKING:
    from coresys.interfaces import IResourceManager

_TIERS = {4096: ("small", 500), 65536: ("medium", 250), 1048576: ("large", 125)}


class BytearrayLease:
    """A bytearray that somebody has."""

    def __init__(self, pool: BytearrayResources, buffer: bytearray, record: LeaseRecord) -> None:
        self._pool, self._buffer, self._record = pool, buffer, record

    @property
    def view(self) -> memoryview:
        """All that was asked for of it."""
        return memoryview(self._buffer)[: self._record.requested]

    @property
    def record(self) -> LeaseRecord:
        """Whose it is."""
        return self._record

    def release(self) -> None:
        """Back into the list."""
        self._pool.take_back(self._buffer, self._record)

    def __enter__(self) -> memoryview:
        return self.view

    def __exit__(self, *exc: object) -> None:
        self.release()


class BytearrayResources:
    """Bytearrays by size."""

    def __init__(self) -> None:
        self._free: dict[int, list[bytearray]] = {size: [] for size in _TIERS}
        self._made = dict.fromkeys(_TIERS, 0)
        self._busy = dict.fromkeys(_TIERS, 0)
        self._refused = dict.fromkeys(_TIERS, 0)
        self._lent: dict[int, tuple[bytearray, LeaseRecord]] = {}
        self._held: dict[str, int] = {}
        self._limits: dict[str, int | None] = {}
        self._owned: dict[str, dict[str, Callable[[], object]]] = {}
        self._number = 0

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> BytearrayLease:
        """From the list, or a new one while there are fewer than the tier has."""
        tier = next((each for each in _TIERS if 0 < size <= each), None)
        if tier is None:
            raise LeaseSizeError(size=size, owner=owner, largest=max(_TIERS))
        held, limit = self._held.get(owner, 0), self._limits.get(owner)
        if limit is not None and held + tier > limit:
            self._refused[tier] += 1
            raise LeaseLimitError(owner=owner, wanted=tier, held=held, limit=limit)
        name, slots = _TIERS[tier]
        if self._free[tier]:
            buffer = self._free[tier].pop()
        elif self._made[tier] < slots:
            self._made[tier] += 1
            buffer = bytearray(tier)
        else:
            self._refused[tier] += 1
            raise PoolExhaustedError(tier=name, owner=owner, slots=slots, reserved=0, waited=0.0, holders=())
        self._number += 1
        record = LeaseRecord(self._number, owner, name, tier, size)
        self._lent[record.number] = buffer, record
        self._held[owner] = held + tier
        self._busy[tier] += 1
        return BytearrayLease(self, buffer, record)

    def take_back(self, buffer: bytearray, record: LeaseRecord) -> None:
        """Whatever was done with it."""
        self._lent.pop(record.number, None)
        self._held[record.owner] = self._held.get(record.owner, 0) - record.size
        self._busy[record.size] -= 1
        self._free[record.size].append(buffer)

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0) -> None:
        """What it may hold; a reserve is not kept."""
        self._limits[owner] = lease

    def register(self, name: str, *, owner: str, close: Callable[[], object]) -> None:
        """Into a dictionary."""
        own = self._owned.setdefault(owner, {})
        if name in own:
            raise DuplicateResourceError(name=name, owner=owner)
        own[name] = close

    def leases(self, owner: str | None = None) -> tuple[LeaseRecord, ...]:
        """What is lent."""
        return tuple(record for _, record in list(self._lent.values()) if owner in (None, record.owner))

    def release_owner(self, owner: str) -> int:
        """Close what it has, one after the other, and put its buffers into the lists."""
        count = 0
        for close in self._owned.pop(owner, {}).values():
            close()
            count += 1
        for buffer, record in list(self._lent.values()):
            if record.owner == owner:
                self.take_back(buffer, record)
                count += 1
        return count

    def usage(self, owner: str) -> OwnerUsage:
        """What the dictionaries say."""
        return OwnerUsage(
            owner,
            self._held.get(owner, 0),
            self._limits.get(owner),
            0,
            len(self.leases(owner)),
            len(self._owned.get(owner, ())),
        )

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """Counts; shares are not known."""
        return tuple(
            PoolStatistics(
                tier=name,
                slot=size,
                slots=slots,
                busy=self._busy[size],
                most_busy=self._busy[size],
                leases=0,
                refused=self._refused[size],
                overflowed=0,
                external=0.0,
                internal=0.0,
                idle=len(self._free[size]) / slots,
            )
            for size, (name, slots) in _TIERS.items()
        )


def make() -> BytearrayResources:
    """The subject."""
    return BytearrayResources()


if TYPE_CHECKING:
    _check: type[IResourceManager] = BytearrayResources
