"""Sizes of buffers, and who may have one: pure arithmetic over bytes and slots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class Account:
    """What one owner holds and may hold, in bytes of whole slots. Whoever changes it holds the lock of the pools.

    ``kept``: by tier, how many free slots nobody else may take, so that this owner gets its reserve whatever others
    hold. As many as what is left of it fills: an owner with 64 KiB left keeps one medium slot *and* sixteen small
    ones, for it may take either, and no large one, which would not be of its reserve.
    """

    __slots__ = ("held", "kept", "largest", "leases", "limit", "name", "reserve")

    def __init__(self, name: str, tiers: int) -> None:
        self.name = name
        self.held = 0
        self.leases = 0
        self.limit: int | None = None
        self.reserve = 0
        self.largest: int | None = None  # the largest slot that it may take without a grant; None: any
        self.kept = [0] * tiers

    @property
    def is_bound(self) -> bool:
        """Whether there is anything that it may not take."""
        return self.limit is not None or self.largest is not None

    def keeps(self, sizes: Sequence[int]) -> list[int]:
        """What ``kept`` has to be now, for slots of these sizes."""
        left = max(self.reserve - self.held, 0)
        return [left // size for size in sizes]

    def refuses(self, slot: int) -> str | None:
        """Why it may not take one more slot of this size; None where it may."""
        if self.limit is not None and self.held + slot > self.limit:
            return "its limit"
        if self.largest is not None and slot > self.largest:
            return f"it may take buffers of {self.largest} bytes at most, larger ones by a grant"
        return None
