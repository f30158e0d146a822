"""Resource managers with one fault each, and what else a check of resources has to catch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from coresys import MonitoringManager, ResourceManager
from coresys.errors.hierarchy import CoreSysError
from coresys.resources import BufferPools, Tier
from coresys.resources.tiers import DEFAULT_TIERS
from coresys.system_records import AlarmRecord, OwnerUsage, PoolStatistics
from validation_suites.faults.wrapping import Passing
from validation_suites.resources.measures import SMALL


def with_tier(name: str, slots: int) -> ResourceManager:
    """A tier that has another number of buffers than the others expect."""
    tiers = [Tier(each.name, each.slot, slots) if each.name == name else each for each in DEFAULT_TIERS]
    return ResourceManager(BufferPools(tiers))


class OneMoreThanItSays(Passing):
    """A tier that has one buffer more than its figures say."""

    def __init__(self, name: str, slots: int) -> None:
        super().__init__(with_tier(name, slots))
        self._name, self._slots = name, slots

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """One less of that tier."""
        return tuple(
            replace(tier, slots=self._slots - 1) if tier.tier == self._name else tier
            for tier in self.inner.statistics()
        )


def never_zeroed() -> ResourceManager:
    """A fresh lease has what its last owner wrote."""
    return ResourceManager(BufferPools(zeroing="never"))


class _Shared(Passing):
    """A lease whose bytes are those of another."""

    def __init__(self, inner: Any, view: memoryview) -> None:
        super().__init__(inner)
        self.view = view


class LentTwice(Passing):
    """Every eighth buffer is one that is lent already."""

    def __init__(self) -> None:
        super().__init__(ResourceManager())
        self._turn, self._last = 0, memoryview(bytearray())

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Any:
        """As it should be, but for the view."""
        lease = self.inner.lease(size, owner=owner, timeout=timeout)
        self._turn += 1
        if self._turn % 8 == 0:
            with suppress(ValueError):  # the other one was given back meanwhile
                if len(self._last) == size:
                    return _Shared(lease, self._last)
        self._last = lease.view
        return lease


class OneTooMany(Passing):
    """A limit is looked at before a buffer is counted, not with it: each owner gets one more."""

    def __init__(self) -> None:
        super().__init__(ResourceManager())

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0) -> None:
        """With room for one more."""
        self.inner.limit(owner, lease=None if lease is None else lease + SMALL, reserve=reserve)


class Unlimited(Passing):
    """Limits are noted, and not looked at."""

    def __init__(self) -> None:
        super().__init__(ResourceManager())
        self._limits: dict[str, int | None] = {}

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0) -> None:
        """Note it."""
        self._limits[owner] = lease

    def usage(self, owner: str) -> OwnerUsage:
        """By what was noted."""
        found: OwnerUsage = self.inner.usage(owner)
        return replace(found, lease_limit=self._limits.get(owner))


def unlimited_channel(limit: int) -> Any:
    """A channel whose owners are bounded each by itself, and not together."""
    resources = ResourceManager()
    for owner in "abc":
        resources.limit(owner, lease=limit)
    return resources


class NoReserve(Passing):
    """Reserves are accepted, and nothing is kept."""

    def __init__(self) -> None:
        super().__init__(ResourceManager())

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0) -> None:
        """Without the reserve."""
        self.inner.limit(owner, lease=lease)


class ForgetsOne(Passing):
    """Of what an owner holds the first buffer is not taken back."""

    def __init__(self) -> None:
        super().__init__(ResourceManager())

    def release_owner(self, owner: str) -> int:
        """All but one."""
        taken = int(self.inner.release_owner(owner))
        self.inner.lease(SMALL, owner=owner).view[:1] = b"x"
        return taken


class ClosesNothing(Passing):
    """What was registered is forgotten, and not closed: its account is in order."""

    def __init__(self) -> None:
        super().__init__(ResourceManager())
        self._kept: list[Any] = []

    def register(self, name: str, *, owner: str, close: Callable[[], object]) -> None:
        """With nothing to close."""
        self._kept.append(close)
        self.inner.register(name, owner=owner, close=bool)


class WrongShares(Passing):
    """Nothing is told to be lent and not asked for, nor to be idle, nor of no use."""

    def __init__(self, *shares: str) -> None:
        super().__init__(ResourceManager())
        self._shares = dict.fromkeys(shares, 0.0)

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """With these shares at nothing."""
        return tuple(replace(tier, **self._shares) for tier in self.inner.statistics())


class OneLarge(Passing):
    """One large buffer, and the bytes of all others in small ones: whatever is large is refused while those lie
    free."""

    def __init__(self) -> None:
        super().__init__(ResourceManager(BufferPools((Tier("small", SMALL, 4000), Tier("large", 1 << 20, 1)))))


class Hoarding(ResourceManager):
    """Holds 600 KB of the heap from the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.hoard = [bytes(1000) for _ in range(600)]


class Strands(Passing):
    """Of what it makes for its owners it keeps one in twenty for good, here and there among what it lets go."""

    def __init__(self) -> None:
        super().__init__(ResourceManager())
        self._made: list[bytes] = []
        self._kept: list[bytes] = []

    def register(self, name: str, *, owner: str, close: Callable[[], object]) -> None:
        """And make something."""
        self._made += [bytes(bytearray(400)) for _ in range(40)]
        self.inner.register(name, owner=owner, close=close)

    def release_owner(self, owner: str) -> int:
        """And let most of it go, where it has become much."""
        if len(self._made) >= 12_000:
            self._kept += self._made[::20]
            self._made.clear()
        return int(self.inner.release_owner(owner))


def strands_memory() -> list[bytes]:
    """Makes many objects and lets 19 of 20 of them go: each keeps the pool that it is in."""
    made = [bytes(400) for _ in range(60_000)]
    return made[::20]


class RaisesAnother(Passing):
    """Raises what no protocol knows, where no buffer is free."""

    def __init__(self) -> None:
        super().__init__(ResourceManager())

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Any:
        """As it should be, but for the error."""
        try:
            return self.inner.lease(size, owner=owner, timeout=timeout)
        except CoreSysError as error:
            raise LookupError("planted") from error


# -- alarms ------------------------------------------------------------------------------------------------------------


class AlarmsAlways(Passing):
    """An alarm each time that a figure is above, not only when it has crossed."""

    def __init__(self) -> None:
        super().__init__(MonitoringManager())
        self._above: list[tuple[Any, Callable[[AlarmRecord], object]]] = []

    def alarm(self, threshold: Any, receive: Callable[[AlarmRecord], object]) -> None:
        """Note it."""
        self._above.append((threshold, receive))

    def gauge(self, name: str, value: float, *, component: str = "") -> None:
        """Tell whenever it is above."""
        for threshold, receive in self._above:
            if (threshold.name, threshold.component) == (name, component) and value > threshold.above:
                receive(AlarmRecord(name, name, component, value, threshold.above, 0.0, 1))


class AlarmsAtTheLimit(Passing):
    """An alarm at the limit already."""

    def __init__(self) -> None:
        super().__init__(MonitoringManager())

    def gauge(self, name: str, value: float, *, component: str = "") -> None:
        """A little more than it is."""
        self.inner.gauge(name, value * 1.0001, component=component)


class AlarmsOnce(Passing):
    """No alarm after the first: it is never armed again."""

    def __init__(self) -> None:
        super().__init__(MonitoringManager())

    def alarm(self, threshold: Any, receive: Callable[[AlarmRecord], object]) -> None:
        """Told once."""
        first = [receive]

        def once(alarm: AlarmRecord) -> None:
            if first:
                first.pop()(alarm)

        self.inner.alarm(threshold, once)
