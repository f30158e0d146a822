"""Sizes of buffers, and who may have one: pure arithmetic over bytes and slots."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Tier:
    """Buffers of one size: ``slots`` of them, each of ``slot`` bytes; ``shared``: by processes, see Lease.hand_over."""

    name: str
    slot: int
    slots: int
    shared: bool = False

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


SEPARATOR = "/"  # between the name of a channel and those in it
UNBOUND = sys.maxsize


class Account:
    """What one owner holds and may hold. Whoever changes it holds the lock of the pools.

    ``held`` are bytes of whole slots. ``kept``: by tier, how many free slots nobody else may take, so that the owner
    gets what is reserved for it whatever others hold: as many as it was promised and does not hold now. Tiers do not
    depend on one another: what it takes of one takes nothing from its reserve in another, or the promise could be
    broken by others who take there what is free for a moment.
    """

    __slots__ = (
        "denied",
        "granted",
        "heaped",
        "held",
        "is_plain",
        "kept",
        "largest",
        "limit",
        "most",
        "name",
        "own",
        "path",
        "reserve",
        "reserved",
        "slots",
        "taken",
    )

    def __init__(self, name: str, tiers: int, channel: Channel | None = None) -> None:
        self.name = name  # as everybody calls it
        self.own = name  # as its own channel calls it
        self.held = 0
        self.slots = [0] * tiers  # that it holds, of each tier
        self.taken, self.denied = [0] * tiers, [0] * tiers  # requests so far, by tier: those that got a buffer, or not
        self.limit: int | None = None
        self.largest: int | None = None  # the largest slot that it may take without a grant; None: as its channel says
        self.granted: list[int] | None = None  # slots of each tier that it may hold whatever its limit and largest are
        self.heaped = [0] * tiers  # leases that are on the heap, of each tier
        self.reserve = 0  # bytes, as they are told
        self.reserved: tuple[int, ...] | None = None  # by tier; None: nothing is reserved for it
        self.kept = [0] * tiers
        self.most = UNBOUND  # what it may hold without being asked for more; less than nothing: always to be asked
        self.is_plain = True  # in no channel, and nothing is reserved for it: what it takes is charged to nobody else
        self.path: tuple[Channel, ...] = ()  # the channels that it is in, from the innermost outwards
        self.join(channel)

    def join(self, channel: Channel | None) -> None:
        """Be in a channel from now on, or in none. A channel has to have joined its own before."""
        self.path = () if channel is None else (channel, *channel.path)
        self.own = self.name if channel is None else self.name.removeprefix(f"{channel.name}{SEPARATOR}")
        self.note_bounds()

    def note_bounds(self) -> None:
        """After any change of its limits, its reserve or its channel."""
        self.is_plain = not self.path and self.reserved is None
        if self.path or self.largest is not None or self.granted is not None:
            self.most = -1
        else:
            self.most = UNBOUND if self.limit is None else self.limit

    @property
    def leases(self) -> int:
        """How many buffers it holds."""
        return sum(self.slots) + sum(self.heaped)

    @property
    def channel(self) -> Channel | None:
        """The innermost channel that it is in."""
        return self.path[0] if self.path else None

    @property
    def is_limited(self) -> bool:
        """Whether it has a limit of its own."""
        return self.limit is not None or self.largest is not None or self.granted is not None

    @property
    def is_declared(self) -> bool:
        """Whether anything was said about it that has to be remembered while it holds nothing."""
        return self.reserved is not None or self.is_limited

    def keeps(self, tier: int) -> int:
        """What ``kept`` has to be now in a tier."""
        return 0 if self.reserved is None else max(self.reserved[tier] - self.slots[tier], 0)

    def promised(self, tier: int) -> int:
        """How many slots of a tier it must be able to have, with those that it holds."""
        return 0 if self.reserved is None else self.reserved[tier]

    def promised_bytes(self) -> int:
        """How many bytes it must be able to hold."""
        return self.reserve

    def unmet(self) -> int:
        """How many bytes of its reserve it does not hold now."""
        return max(self.reserve - self.held, 0)

    def refuses(self, tier: int, sizes: Sequence[int]) -> Refusal | None:
        """Why it may not take one more slot of a tier, for a reason of its own; None where it may."""
        granted = 0
        if self.granted is not None:
            if self.slots[tier] + self.heaped[tier] < self.granted[tier]:
                return None
            granted = self.on_grants(sizes)
        if self.limit is not None and self.held - granted + sizes[tier] > self.limit:
            return Refusal(self, f"its limit, with {granted} granted beside it" if granted else "its limit")
        largest = self._largest()
        if largest is not None and sizes[tier] > largest:
            return Refusal(self, f"it may take buffers of {largest} bytes at most, larger ones by a grant", largest)
        return None

    def on_grants(self, sizes: Sequence[int]) -> int:
        """How many of the bytes that it holds are by explicit grants."""
        if self.granted is None:
            return 0
        taken = (slots + heaped for slots, heaped in zip(self.slots, self.heaped, strict=True))
        used = (min(each) for each in zip(taken, self.granted, strict=True))
        return sum(count * size for count, size in zip(used, sizes, strict=True))

    def _largest(self) -> int | None:
        """Of one buffer: its own, or that of the nearest channel that has one."""
        if self.largest is not None:
            return self.largest
        for channel in self.path:
            if channel.largest is not None:
                return channel.largest
        return None


class Channel(Account):
    """Owners that are bounded together, whose names begin with its own: their sum is held to its limit.

    A channel is an account whose parts are others, channels among them. What is kept for it is what its reserve asks
    for, or what the reserves of its parts come to where that is more: these come out of its own.
    """

    __slots__ = (
        "closed",
        "inner",
        "leased",
        "most_busy",
        "most_of_one",
        "overflowed",
        "parts",
        "refused",
        "since",
        "was_refused",
    )

    def __init__(self, name: str, tiers: int, channel: Channel | None = None) -> None:
        super().__init__(name, tiers, channel)
        self.closed = False
        self.since = 0  # the number of the last lease before it was opened
        self.parts: dict[str, Account] = {}  # those with a reserve, and channels, by name
        self.inner = [0] * tiers  # what is kept for the parts
        self.most_busy, self.leased = [0] * tiers, [0] * tiers
        self.refused, self.overflowed = [0] * tiers, [0] * tiers
        self.was_refused = [False] * tiers
        self.most_of_one = ("", 0)  # the owner that held most at once, beside what it was granted, and those bytes

    def keeps(self, tier: int) -> int:
        """What ``kept`` has to be now in a tier."""
        return max(super().keeps(tier), self.inner[tier])

    def promised(self, tier: int) -> int:
        """How many slots of a tier its owners must be able to have, with those that they hold."""
        return max(super().promised(tier), sum(part.promised(tier) for part in self.parts.values()))

    def promised_bytes(self) -> int:
        """How many bytes its owners must be able to hold."""
        return max(self.reserve, sum(part.promised_bytes() for part in self.parts.values()))

    def unmet(self) -> int:
        """How many bytes of reserves in it are not held now."""
        return max(super().unmet(), sum(part.unmet() for part in self.parts.values()))

    def has(self, account: Account) -> bool:
        """Whether an account is in it, or in a channel that is."""
        return self in account.path


def beside(account: Account, tier: int) -> int:
    """How many free slots of a tier are kept for others that share a channel with an account."""
    kept, part = 0, account
    for channel in account.path:
        kept += channel.inner[tier] - part.kept[tier]
        part = channel
    return kept


@dataclass(frozen=True, slots=True)
class Refusal:
    """Who keeps an account from one more slot, and why: by its limit, or by the ``largest`` buffer that it may take."""

    who: Account
    why: str
    largest: int | None = None


def refusal(account: Account, tier: int, sizes: Sequence[int]) -> Refusal | None:
    """Whose limit keeps an account from one more slot of a tier, and why; None where nothing does.

    What is reserved in a channel for others of its owners, and not held by them yet, counts as held: else a reserve
    could not be had, for the limit of the channel.
    """
    own = account.refuses(tier, sizes)
    if own is not None:
        return own
    owed, part = 0, account
    for channel in account.path:
        if channel.parts:
            owed += sum(other.unmet() for other in channel.parts.values() if other is not part)
        if channel.limit is not None and channel.held + sizes[tier] + owed > channel.limit:
            why = f"the limit of the channel, of which {owed} are kept for others" if owed else "its limit"
            return Refusal(channel, why)
        part = channel
    return None


__all__ = [
    "DEFAULT_TIERS",
    "Account",
    "Channel",
    "Refusal",
    "Reserve",
    "Tier",
    "beside",
    "checked",
    "refusal",
    "reserved_slots",
]
