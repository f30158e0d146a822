"""Sizes of buffers, and who may have one: pure arithmetic over bytes and slots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Tier:
    """Buffers of one size: ``slots`` of them, each of ``slot`` bytes."""

    name: str
    slot: int
    slots: int

    def __post_init__(self) -> None:
        if self.slot < 1 or self.slots < 1:
            raise ValueError(f"tier {self.name!r}: {self.slots} slots of {self.slot} bytes hold nothing")


DEFAULT_TIERS = (Tier("small", 4 * KIB, 500), Tier("medium", 64 * KIB, 250), Tier("large", MIB, 125))


def checked(tiers: Iterable[Tier]) -> tuple[Tier, ...]:
    """The tiers, smallest first. Raises ValueError where two have one name, or one size."""
    ordered = sorted(tiers, key=lambda tier: tier.slot)
    names, sizes = {tier.name for tier in ordered}, {tier.slot for tier in ordered}
    if not ordered or len(names) < len(ordered) or len(sizes) < len(ordered):
        raise ValueError(f"tiers need names and sizes of their own: {', '.join(map(str, ordered)) or 'there is none'}")
    return tuple(ordered)


Reserve = int | Mapping[str, int]


def reserved_slots(reserve: Reserve, tiers: Sequence[Tier]) -> tuple[int, ...]:
    """How many slots of each tier a reserve is: by name, or so many bytes *of whichever tier* the owner may want.

    Bytes are kept in each tier, for an owner may take them from any: 128 KiB are two medium slots and 32 small ones.
    Raises ValueError for a name that no tier has, or less than nothing.
    """
    if isinstance(reserve, int):
        slots = tuple(reserve // tier.slot for tier in tiers)
    else:
        unknown = sorted(reserve.keys() - {tier.name for tier in tiers})
        if unknown:
            raise ValueError(f"there is no tier {unknown[0]!r}; there are {', '.join(tier.name for tier in tiers)}")
        slots = tuple(reserve.get(tier.name, 0) for tier in tiers)
    if min(slots) < 0:
        raise ValueError(f"a reserve of less than nothing: {reserve!r}")
    return slots


class Account:
    """What one owner holds and may hold. Whoever changes it holds the lock of the pools.

    ``held`` are bytes of whole slots. ``kept``: by tier, how many free slots nobody else may take, so that the owner
    gets what is reserved for it whatever others hold: as many as it was promised and does not hold now. Tiers do not
    depend on one another: what it takes of one takes nothing from its reserve in another, or the promise could be
    broken by others who take there what is free for a moment.
    """

    __slots__ = ("held", "kept", "largest", "leases", "limit", "name", "reserve", "reserved", "slots")

    def __init__(self, name: str, tiers: int) -> None:
        self.name = name
        self.held = 0
        self.leases = 0
        self.slots = [0] * tiers  # that it holds, of each tier
        self.limit: int | None = None
        self.largest: int | None = None  # the largest slot that it may take without a grant; None: any
        self.reserve = 0  # bytes, as they are told
        self.reserved: tuple[int, ...] | None = None  # by tier; None: nothing is reserved for it
        self.kept = [0] * tiers

    @property
    def is_bound(self) -> bool:
        """Whether there is anything that it may not take."""
        return self.limit is not None or self.largest is not None

    @property
    def is_declared(self) -> bool:
        """Whether anything was said about it that has to be remembered while it holds nothing."""
        return self.reserved is not None or self.is_bound

    def keeps(self, tier: int) -> int:
        """What ``kept`` has to be now in a tier."""
        return 0 if self.reserved is None else max(self.reserved[tier] - self.slots[tier], 0)

    def refuses(self, slot: int) -> str | None:
        """Why it may not take one more slot of this size; None where it may."""
        if self.limit is not None and self.held + slot > self.limit:
            return "its limit"
        if self.largest is not None and slot > self.largest:
            return f"it may take buffers of {self.largest} bytes at most, larger ones by a grant"
        return None
