"""Buffers that are lent: tiers of slots, owners with limits and reserves, channels, and figures of all of these.

How a slot is lent and taken back stands in ``lending``. Here is what is said about owners and
channels, and what can be asked. Whatever changes anything is done under the lock of that (``_locked``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from sys import _getframe
from types import CodeType

from coresys.errors.hierarchy import (
    DuplicateChannelError,
    LeaseInUseError,
    LeaseLimitError,
    PoolsClosedError,
)
from coresys.resources.lease import Lent
from coresys.resources.lending import OVERFLOW, Lending
from coresys.resources.shared import slab_of
from coresys.resources.tiers import (
    SEPARATOR,
    Account,
    Channel,
    Reserve,
    reserved_slots,
)
from coresys.system_records import AllocationRecord, LeaseRecord, OwnerUsage, PoolStatistics
from coresys.threads.sites import site

OTHERS = "(others)"  # owners that are not told apart any more

_MOST_NAMED = 3  # owners, in an error


class BufferPools(Lending):
    """Tiers of buffers that owners take and give back.

    >>> pools = BufferPools()
    >>> with pools.lease(1000, owner="upload") as view:
    ...     view[:5] = b"hello"
    >>> pools.usage("upload").leased
    0

    ``exhausted`` says what becomes of a request for which no slot is free: it waits in line (``block``, for ``timeout``
    seconds where it names none), gets a buffer of its own on the heap, counted (``overflow``), or PoolExhaustedError
    at once (``error``). ``zeroing``: whether a slot is made zero when another owner gets it, always, or never.
    A slot that was not used for ``decay`` to twice ``decay`` seconds gives its memory back: every sixteenth release
    after that lets some go, and ``decay()`` all; None: never.
    ``debug``: writes into slots that were given back are found, at ten times the price. ``on_leak`` is told of each
    lease that was dropped without being given back, outside of any lock; what it raises is dropped.
    """

    __slots__ = ()

    # -- owners ------------------------------------------------------------------------------------------------------

    def limit(
        self,
        owner: str,
        *,
        lease: int | None = None,
        reserve: Reserve = 0,
        largest: int | None = None,
        channel: Channel | None = None,
    ) -> None:
        """What an owner may hold, and what is kept for it, in bytes of whole slots; ``largest``: of one buffer.

        A ``reserve`` in bytes is kept in each tier, for the owner may want any; one by the names of tiers, in slots
        (``{"medium": 4}``), takes less from others. Raises LeaseLimitError where the reserves of all do not fit, or are
        more than the limit, and ValueError for a tier that there is not; then nothing changed. Where others hold the
        slots that are reserved, they are kept as they come back.
        """
        reserved = reserved_slots(reserve, self.tiers)
        told = reserve if isinstance(reserve, int) else self._bytes_of(reserved)
        self._locked("limit()", self._declare, owner, lease, told, reserved, largest, channel)

    def _declare(
        self,
        owner: str,
        limit: int | None,
        reserve: int,
        reserved: tuple[int, ...],
        largest: int | None,
        channel: Channel | None,
    ) -> None:
        if channel is not None and channel.closed:
            raise self._closed_error(owner, channel)
        account = self._account(owner)
        before = account.limit, account.reserve, account.reserved, account.largest
        try:
            account.reserve, account.reserved = 0, None
            beside_it = [sum(each.promised(at) for each in self._outermost()) for at in range(len(self.tiers))]
            self._state(account, limit, reserve, reserved, largest)
            self._check_promises(account, beside_it, limit, reserve)
            for at in range(len(self.tiers)):
                self._keep(account, at)
            if self._waiting:
                self._serve()
        except BaseException:
            account.limit, account.reserve, account.reserved, account.largest = before
            account.note_bounds()
            self._put_right()
            raise

    def _state(
        self, account: Account, limit: int | None, reserve: int, reserved: tuple[int, ...], largest: int | None
    ) -> None:
        account.limit, account.reserve, account.largest = limit, reserve, largest
        account.reserved = reserved if any(reserved) else None
        account.note_bounds()
        if account.channel is not None:
            if account.reserved is not None or isinstance(account, Channel):
                account.channel.parts[account.name] = account
            else:
                account.channel.parts.pop(account.name, None)

    def _outermost(self) -> list[Account]:
        """Those that are in no channel."""
        everybody: list[Account] = [*self._accounts.values(), *self._channels.values()]
        return [each for each in everybody if not each.path]

    def _check_promises(self, account: Account, beside_it: list[int], limit: int | None, reserve: int) -> None:
        """Whether all that was promised can be kept. Raises LeaseLimitError."""
        for at, tier in enumerate(self.tiers):
            if sum(each.promised(at) for each in self._outermost()) > tier.slots:
                why = (
                    f"{account.promised(at)} {tier.name} slots do not fit beside the {beside_it[at]} of {tier.slots} "
                    f"that are reserved for others (say how many of which tier: reserve={{{tier.name!r}: 1}})"
                )
                raise self._refusal(account, reserve, limit, why)
        if limit is not None and account.promised_bytes() > limit:
            raise self._refusal(account, reserve, limit, "a reserve above the limit")
        for channel in account.path:
            if channel.limit is not None and channel.promised_bytes() > channel.limit:
                raise self._refusal(account, reserve, channel.limit, f"above the limit of channel {channel.name!r}")

    def _refusal(self, account: Account, reserve: int, limit: int | None, why: str) -> LeaseLimitError:
        most = limit if limit is not None else self._bytes_of(tier.slots for tier in self.tiers)
        return LeaseLimitError(owner=account.own, wanted=reserve, held=account.held, limit=most, why=f"reserve: {why}")

    def grant(self, owner: str, size: int, count: int = 1, *, channel: Channel | None = None) -> None:
        """Let an owner hold ``count`` buffers of ``size`` bytes whatever its limit and ``largest`` are; 0: none again.

        What it holds by a grant is not counted against its limit, but against that of its channel. A later grant for
        the same tier takes the place of the former. Raises LeaseSizeError, and ValueError for less than nothing.
        """
        if count < 0:
            raise ValueError(f"a grant of less than nothing: {count}")
        self._locked("grant()", self._grant, owner, self._tier_for(size, owner, channel), count, channel)

    def _grant(self, owner: str, tier: int, count: int, channel: Channel | None) -> None:
        if channel is not None and channel.closed:
            raise self._closed_error(owner, channel)
        account = self._account(owner)
        granted = [0] * len(self.tiers) if account.granted is None else list(account.granted)
        granted[tier] = count
        account.granted = granted if any(granted) else None
        account.note_bounds()
        if self._waiting:
            self._serve()

    # -- channels ----------------------------------------------------------------------------------------------------

    def open_channel(
        self,
        name: str,
        *,
        lease: int | None = None,
        reserve: Reserve = 0,
        largest: int | None = None,
        depth: int = 1,
    ) -> Channel:
        """Bound all owners together whose names begin with ``name`` and a slash: what they hold, and what is kept.

        ``largest`` is for each of them that has none of its own. Raises DuplicateChannelError, LeaseLimitError where
        what it reserves does not fit, and ValueError; then nothing changed.
        """
        frame = _getframe(depth)
        reserved = reserved_slots(reserve, self.tiers)
        told = reserve if isinstance(reserve, int) else self._bytes_of(reserved)
        where = frame.f_code, frame.f_lasti
        return self._locked("open_channel()", self._open, name, (lease, told, reserved, largest), where)

    def _open(
        self, name: str, given: tuple[int | None, int, tuple[int, ...], int | None], where: tuple[CodeType, int]
    ) -> Channel:
        if self._closed:
            raise PoolsClosedError()
        if not name or name in self._channels:
            at = self._opened.get(name)
            if at is None:
                raise ValueError("a channel needs a name")
            raise DuplicateChannelError(channel=name, where=site(*at))
        channel = Channel(name, len(self.tiers), self._channel_of(name))
        channel.since = self._last_number
        try:
            self._channels[name], self._opened[name] = channel, where
            self._recount()  # what is called so already is in it from now on
            beside_it = [sum(each.promised(at) for each in self._outermost()) for at in range(len(self.tiers))]
            limit, reserve, reserved, largest = given
            self._state(channel, limit, reserve, reserved, largest)
            self._check_promises(channel, beside_it, limit, reserve)
            self._recount()
            if self._waiting:
                self._serve()
        except BaseException:
            self._drop(channel)
            self._put_right()
            raise
        return channel

    def close_channel(self, channel: Channel) -> None:
        """Whoever asks through it, or waits for a buffer in it, gets PoolsClosedError; channels in it end with it.

        What is lent in it stays lent: ``take_from_channel`` takes it back.
        """
        self._locked("close_channel()", self._end, channel)

    def _end(self, channel: Channel) -> None:
        for each in (*self._channels.values(), channel):
            each.closed = each.closed or each is channel or channel.has(each)
        for waiter in tuple(self._waiting):
            if channel.has(waiter.account):
                self._waiting.remove(waiter)
                waiter.gate.release()

    def take_from_channel(self, channel: Channel) -> tuple[LeaseRecord, ...]:
        """Take all buffers of a closed channel back, and forget it; returns those on which something stands."""
        in_use = []
        for number, lent in self._locked("take_from_channel()", self._lent_in, channel):
            if not self._let_go(number, lent):
                in_use.append(self.record_of(number, lent, lent.account.own))
                continue
            self._locked("take_from_channel()", self._free, number)
        self._locked("take_from_channel()", self._forget, channel)
        return tuple(in_use)

    def _forget(self, channel: Channel) -> None:
        gone = [channel, *(each for each in self._channels.values() if channel.has(each))]
        try:
            for account in [each for each in self._accounts.values() if channel.has(each)]:
                account.limit = account.largest = account.granted = account.reserved = None
                account.reserve = 0
                if not account.leases:
                    del self._accounts[account.name]
                    self._sum_up(account)
            for each in gone:
                each.reserved, each.reserve = None, 0
                self._drop(each)
        except BaseException:
            self._put_right()
            raise

    def _drop(self, channel: Channel) -> None:
        if self._channels.get(channel.name) is channel:
            del self._channels[channel.name], self._opened[channel.name]
        if channel.channel is not None:
            channel.channel.parts.pop(channel.name, None)
        self._recount()

    def _lent_in(self, channel: Channel) -> list[tuple[int, Lent]]:
        return [(number, lent) for number, lent in self._lent_now(None) if channel.has(lent.account)]

    def channel_leases(self, channel: Channel) -> tuple[LeaseRecord, ...]:
        """What is lent in a channel now, oldest first."""
        self._take_back_returned(dead=True)
        found = self._locked("leases()", self._lent_in, channel)
        return tuple(self.record_of(number, lent, self._name_in(channel, lent.account.name)) for number, lent in found)

    def channel_leaked(self, channel: Channel) -> tuple[LeaseRecord, ...]:
        """As ``leaked``, of a channel since it was opened."""
        start = f"{channel.name}{SEPARATOR}"
        return tuple(
            replace(record, owner=record.owner.removeprefix(start))
            for record in self.leaked()
            if record.number > channel.since and record.owner.startswith(start)
        )

    def usage(self, owner: str) -> OwnerUsage:
        """What an owner holds and may hold."""
        account = self._accounts.get(owner) or Account(owner, len(self.tiers))
        return self.usage_of(account)

    def usage_of(self, account: Account) -> OwnerUsage:
        """As ``usage``, also of a channel: what all in it hold together."""
        granted = self._bytes_of(account.granted) if account.granted is not None else 0
        return OwnerUsage(
            account.name, account.held, account.limit, account.reserve, account.leases, lease_granted=granted
        )

    def release_owner(self, owner: str) -> int:
        """Take all slots of an owner back, whoever has the leases; returns how many there were.

        Whoever goes on to use one of its views gets an error. What a call uses at this moment stays lent: raises
        LeaseInUseError for the first of these, when all others are free.
        """
        freed, in_use = 0, None
        for number, lent in self._locked("release_owner()", self._lent_now, owner):
            handed = number in self._handed
            if not self._let_go(number, lent):
                in_use = in_use or lent.in_use(number)
                continue
            freed += self._locked("release_owner()", self._free, number) or handed
        if in_use is not None:
            raise in_use
        return freed

    # -- looking -----------------------------------------------------------------------------------------------------

    def leases(self, owner: str | None = None) -> tuple[LeaseRecord, ...]:
        """What is lent now, oldest first."""
        self._take_back_returned(dead=True)
        return tuple(self.record_of(*each) for each in self._locked("leases()", self._lent_now, owner))

    def leaked(self) -> tuple[LeaseRecord, ...]:
        """Leases that were dropped and never given back: the last thousand, with the place that each was lent at."""
        self.take_back_orphans()
        self._take_back_stuck()
        self._take_back_returned(dead=True)
        return tuple(self._leaked)

    def stale_writes(self) -> tuple[str, ...]:
        """With ``debug``: a line for each slot that was written to after it had been given back."""
        return tuple(self._stale)

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """One record for each tier, smallest first. Raises PoolsClosedError."""
        self.take_back_orphans()
        self._take_back_stuck()
        self._take_back_returned(dead=True)
        return self._locked("statistics()", self._count)

    def _count(self) -> tuple[PoolStatistics, ...]:
        if self._closed:
            raise PoolsClosedError()
        asked = self._asked(self._all_lent())
        found = []
        for at, (slab, figures) in enumerate(zip(self._slabs, self._figures, strict=True)):
            found.append(
                self._statistics(
                    at,
                    self.tiers[at].slots,
                    asked[at],
                    slab.slots - slab.free,
                    max(figures.most_busy, slab.fresh),  # a slot that nobody had is taken when all others are
                    figures.leases,
                    figures.refused,
                    figures.overflowed,
                    figures.was_refused,
                    slab.idle,
                )
            )
        return tuple(found)

    def allocations(self) -> tuple[AllocationRecord, ...]:
        """Who asked for how many buffers of which tier, and was refused how many; by owner, smallest tier first.

        Of owners that hold nothing, and of which nothing was declared, those that came first may be summed up under
        ``(others)``."""
        return self._locked("allocations()", self._asked_for)

    def _asked_for(self) -> tuple[AllocationRecord, ...]:
        rows = [(name, account.taken, account.denied) for name, account in sorted(self._accounts.items())]
        return tuple(
            AllocationRecord(owner, tier.name, tier.slot, leases, refused)
            for owner, taken, denied in (*rows, (OTHERS, *self._others))
            for tier, leases, refused in zip(self.tiers, taken, denied, strict=True)
            if leases or refused
        )

    def channel_statistics(self, channel: Channel) -> tuple[PoolStatistics, ...]:
        """As ``statistics``, of a channel. ``slots``: as many as its limit lets it have of that tier alone; ``idle``:
        of the whole tier, free slots that it had last; ``external``: of requests in it that were refused."""
        self.take_back_orphans()
        self._take_back_stuck()
        self._take_back_returned(dead=True)
        return self._locked("statistics()", self._count_in, channel)

    def _count_in(self, channel: Channel) -> tuple[PoolStatistics, ...]:
        if self._closed:
            raise PoolsClosedError()
        asked = self._asked(lent for _, lent in self._lent_in(channel))
        found = []
        for at, (tier, slab) in enumerate(zip(self.tiers, self._slabs, strict=True)):
            most = tier.slots if channel.limit is None else min(channel.limit // tier.slot, tier.slots)
            last = [slab.last[slot] for slot in slab.warm]
            idle = sum(isinstance(account, Account) and channel.has(account) for account in last)
            found.append(
                self._statistics(
                    at,
                    most,
                    asked[at],
                    channel.slots[at],
                    channel.most_busy[at],
                    channel.leased[at],
                    channel.refused[at],
                    channel.overflowed[at],
                    channel.was_refused[at],
                    idle,
                )
            )
        return tuple(found)

    def _asked(self, lent: Iterable[Lent]) -> list[int]:
        """Bytes that were asked for and are lent from slots, by tier."""
        asked = [0] * len(self.tiers)
        for each in lent:
            if each.slot != OVERFLOW:
                asked[each.tier] += each.size
        return asked

    def _statistics(
        self,
        at: int,
        slots: int,
        asked: int,
        busy: int,
        most_busy: int,
        leases: int,
        refused: int,
        overflowed: int,
        was_refused: bool,
        idle: int,
    ) -> PoolStatistics:
        tier = self.tiers[at]
        smaller = sum(slab.free * slab.slot for slab in self._slabs[:at])
        whole = self._bytes_of(tier.slots for tier in self.tiers)
        return PoolStatistics(
            tier=tier.name,
            slot=tier.slot,
            slots=slots,
            busy=busy,
            most_busy=most_busy,
            leases=leases,
            refused=refused,
            overflowed=overflowed,
            external=smaller / whole if was_refused else 0.0,
            internal=1 - asked / (busy * tier.slot) if busy else 0.0,
            idle=idle / tier.slots,
        )

    def cool(self, most: int = 0) -> int:
        """Give the memory of free slots back to the system, all but so many of each tier; returns the bytes."""
        return self._locked("cool()", self._cool, lambda slab: slab.cool(most))

    def decay(self) -> int:
        """Give the memory of slots back that were not used for as long as ``decay`` says; returns the bytes.

        Where nothing is released any more, nothing comes by: call this now and then, from whatever runs regularly.
        """
        if self._due is None or self._now() < self._due:
            return 0
        return self._locked("decay()", self._cool_some, None)

    def close(self) -> None:
        """Give all mappings back; whoever waits, or asks later, gets PoolsClosedError. Once is as good as twice.

        Raises LeaseInUseError while something is lent, or a slice of a view that was given back is alive, and changes
        nothing then.
        """
        self.take_back_orphans()
        self._take_back_stuck()
        self._take_back_returned(dead=True)
        self._locked("close()", self._close)

    def _close(self) -> None:
        for number, lent in self._lent_now(None):
            raise lent.in_use(number)
        for figures, slab in zip(self._figures, self._slabs, strict=False):  # there are none where it was closed
            figures.most_busy = max(figures.most_busy, slab.fresh)
        slabs, self._slabs, self._closed, self._smallest = self._slabs, [], True, 0
        for at, slab in enumerate(slabs):
            try:
                slab.close()
            except BufferError:
                self._slabs = [*(slab_of(tier) for tier in self.tiers[:at]), *slabs[at:]]  # nothing was in those before
                self._closed, self._smallest = False, self._sizes[0]
                last = sorted({account.name for account in slab.last if isinstance(account, Account)})
                where = f"a slice of a {self.tiers[at].name} buffer"
                raise LeaseInUseError(number=0, owner=", ".join(last[:_MOST_NAMED]), where=where) from None
        for waiter in self._waiting:
            waiter.gate.release()
        self._waiting.clear()


__all__ = ["BufferPools"]
