"""Buffers that are lent: tiers of slots, owners with limits and reserves, and whoever waits in line.

Invariants, all under one lock, which is a leaf (nothing of a user's, and nothing that waits, is called under it):

- What is promised is taken in the same step: a slot that is handed to somebody who waits is lent from then on.
- A slot is lent as long as its number is in ``_lent``, and only then is it charged to its account. All else follows
  from that, and is made anew from it where an exception out of nowhere (KeyboardInterrupt) breaks off a change.
- In each tier there are as many free slots as all accounts keep together (``Account.kept``), as far as slots were free
  when the reserves were declared.

A lease that nobody holds any more, and that was never given back, is found by the interpreter, at any place of any
thread, in here too: so what is called then takes no lock, and is no Python, which could be interrupted; it is noted,
and whoever comes by next takes the slot back.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import Counter, deque
from collections.abc import Callable, Iterable
from sys import _getframe
from types import CodeType
from typing import Any, Literal, NamedTuple
from weakref import ref

from coresys.clock import monotonic
from coresys.errors.hierarchy import (
    LeaseInUseError,
    LeaseLimitError,
    LeaseReleasedError,
    LeaseSizeError,
    PoolExhaustedError,
)
from coresys.forks import renew_in_children
from coresys.resources.slab import Slab
from coresys.resources.tiers import DEFAULT_TIERS, Account, Tier, checked
from coresys.system_records import LeaseRecord, OwnerUsage, PoolStatistics
from coresys.threads.sites import location, site

Exhausted = Literal["block", "overflow", "error"]
Zeroing = Literal["owner", "always", "never"]

_POISON = 0xA5
_MOST_LEAKED = 1000
_MOST_NAMED = 3
_OVERFLOW = -1  # the slot of a lease that is on the heap


class _Dropped(ref[Any]):
    """Is put among the orphans when its lease dies, unless it was thrown away before."""

    __slots__ = ("number",)

    number: int


class _Lent(NamedTuple):
    account: Account
    tier: int
    slot: int
    size: int
    code: CodeType | None
    offset: int
    view: memoryview  # the one that the user has: releasing it takes the memory from whoever kept it


_NOTHING = memoryview(b"")
_new, _tuple = object.__new__, tuple.__new__


class _Waiter:
    __slots__ = ("account", "gate", "lease", "size", "tier")

    def __init__(self, account: Account, tier: int, size: int, lease: Lease) -> None:
        self.account, self.tier, self.size, self.lease = account, tier, size, lease
        self.gate = allocate_lock()
        self.gate.acquire()


class Lease:
    """A buffer that is lent; what is used after it was given back raises.

    ``with lease as view:`` gives it back at the end. Where ``view`` was handed on, and something else stands on the
    memory (an array of NumPy's), it can't be given back before that is gone. A slice of the view, or a ctypes array,
    that was made before goes on to stand on it unseen: ``debug=True`` of the pools finds writes through such.
    """

    __slots__ = ("__weakref__", "_lent", "_pools", "number")

    _lent: _Lent
    _pools: BufferPools
    number: int  # 0: nothing was lent yet, or it was given back

    @property
    def view(self) -> memoryview:
        """The bytes, as many as were asked for. Raises LeaseReleasedError."""
        if not self._pools.is_lent(self.number):
            raise self._released()
        return self._lent.view

    @property
    def record(self) -> LeaseRecord:
        """To whom it was lent, and where."""
        return self._pools.record_of(self.number, self._lent)

    def release(self) -> None:
        """Give it back. Raises LeaseReleasedError where that was done before, LeaseInUseError while it can't be."""
        self._pools.take_back(self)

    def __enter__(self) -> memoryview:
        return self.view

    def __exit__(self, *exc: object) -> None:
        self._pools.take_back(self)

    def __len__(self) -> int:
        return self._lent.size

    def __buffer__(self, flags: int) -> memoryview:  # of Python 3.12 and later
        return memoryview(self.view)

    def __repr__(self) -> str:
        if not self._pools.is_lent(self.number):
            return "<Lease: released>"
        lent = self._lent
        return f"<Lease {self.number} of {lent.account.name!r}: {lent.size} bytes>"

    def _released(self) -> LeaseReleasedError:
        lent = self._lent
        return LeaseReleasedError(number=self.number, owner=lent.account.name, where=site(lent.code, lent.offset))


class BufferPools:
    """Tiers of buffers that owners take and give back.

    >>> pools = BufferPools()
    >>> with pools.lease(1000, owner="upload") as view:
    ...     view[:5] = b"hello"
    >>> pools.usage("upload").leased
    0

    ``exhausted`` says what becomes of a request for which no slot is free: it waits in line (``block``, for ``timeout``
    seconds where it names none), gets a buffer of its own on the heap, counted (``overflow``), or PoolExhaustedError
    at once (``error``). ``zeroing``: whether a slot is made zero when another owner gets it, always, or never.
    ``debug``: writes into slots that were given back are found, at ten times the price. ``on_leak`` is told of each
    lease that was dropped without being given back, outside of any lock; what it raises is dropped.
    """

    def __init__(
        self,
        tiers: Iterable[Tier] = DEFAULT_TIERS,
        *,
        exhausted: Exhausted = "block",
        zeroing: Zeroing = "owner",
        timeout: float = 1.0,
        debug: bool = False,
        on_leak: Callable[[LeaseRecord], object] | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.tiers = checked(tiers)
        self._sizes = tuple(tier.slot for tier in self.tiers)
        self._slabs = [Slab(tier) for tier in self.tiers]
        self._exhausted, self._zeroing, self._timeout, self._debug = exhausted, zeroing, timeout, debug
        self._on_leak, self._now = on_leak, now
        self._lock = allocate_lock()
        self._accounts: dict[str, Account] = {}
        self._lent: dict[int, _Lent] = {}
        self._last_number = 0
        self._waiting: list[deque[_Waiter]] = [deque() for _ in self.tiers]
        self._kept = [0] * len(self.tiers)  # of all accounts
        self._most_busy, self._leases = [0] * len(self.tiers), [0] * len(self.tiers)
        self._refused, self._overflowed = [0] * len(self.tiers), [0] * len(self.tiers)
        self._was_refused = [False] * len(self.tiers)
        self._stale: deque[str] = deque(maxlen=_MOST_LEAKED)
        self._leaked: deque[LeaseRecord] = deque(maxlen=_MOST_LEAKED)
        self._dropped: dict[int, _Dropped] = {}
        self.orphans: deque[_Dropped] = deque()
        renew_in_children(self, BufferPools._renew)

    # -- lending -----------------------------------------------------------------------------------------------------

    def lease(self, size: int, *, owner: str, timeout: float | None = None, depth: int = 1) -> Lease:
        """A buffer of ``size`` bytes, from the smallest tier that has such.

        Raises LeaseSizeError, LeaseLimitError (before anything is taken), PoolExhaustedError after ``timeout`` seconds.
        ``depth``: how many calls up is the place that is remembered for it.
        """
        frame = _getframe(depth)
        code, offset = frame.f_code, frame.f_lasti
        if self.orphans:
            self.take_back_orphans()
        tier = 0 if 0 < size <= self._sizes[0] else self._tier_for(size, owner)
        lease = _new(Lease)  # before anything is taken; without a call of __init__, for it is on everybody's path
        lease._pools, lease.number = self, 0
        with self._lock:
            account = self._accounts.get(owner)
            if account is None:
                account = self._accounts[owner] = Account(owner, len(self.tiers))
            if account.is_bound:
                self._check(account, tier)
            if self._slabs[tier].free > self._kept[tier] - account.kept[tier]:
                self._lend(lease, account, tier, size, code, offset)
                return lease
            if self._exhausted == "overflow":
                self._overflowed[tier] += 1
                on_heap = memoryview(bytearray(size))
                self._charge(lease, account, (account, tier, _OVERFLOW, size, code, offset, on_heap))
                return lease
            waiter = _Waiter(account, tier, size, lease)
            lease._lent = _Lent(account, tier, _OVERFLOW, size, code, offset, _NOTHING)
            if self._exhausted == "block":
                self._waiting[tier].append(waiter)
        self._wait(waiter, timeout if timeout is not None else self._timeout)
        return lease

    def _tier_for(self, size: int, owner: str) -> int:
        for at, slot in enumerate(self._sizes):
            if 0 < size <= slot:
                return at
        raise LeaseSizeError(size=size, owner=owner, largest=self._sizes[-1])

    def _check(self, account: Account, tier: int) -> None:
        why = account.refuses(self._sizes[tier])
        if why is None:
            return
        self._refused[tier] += 1
        most = account.limit if account.limit is not None else account.largest or 0
        raise LeaseLimitError(owner=account.name, wanted=self._sizes[tier], held=account.held, limit=most, why=why)

    def _account(self, owner: str) -> Account:
        account = self._accounts.get(owner)
        if account is None:
            account = self._accounts[owner] = Account(owner, len(self.tiers))
        return account

    def _is_free_for(self, account: Account, tier: int) -> bool:
        return self._slabs[tier].free > self._kept[tier] - account.kept[tier]

    def _lend(self, lease: Lease, account: Account, tier: int, size: int, code: CodeType | None, offset: int) -> None:
        """Take a free slot and charge it. Interrupted at any place, all is as before."""
        slab, before = self._slabs[tier], self._last_number
        try:
            slot = slab.take()
            if self._debug:
                self._look_for_stale_writes(slab, tier, slot)
            if slab.last[slot] is not account:
                if self._zeroing == "owner":
                    slab.zero(slot)
                slab.last[slot] = account
            if self._zeroing == "always":
                slab.zero(slot)
            self._charge(lease, account, (account, tier, slot, size, code, offset, slab.view(slot, size)))
        except BaseException:
            if self._last_number != before:  # else that number is of somebody else's lease
                self._lent.pop(self._last_number, None)
                self._dropped.pop(self._last_number, None)
            lease.number = 0
            self._put_right()
            raise
        self._was_refused[tier] = False
        self._leases[tier] += 1
        busy = slab.slots - slab.free
        if busy > self._most_busy[tier]:
            self._most_busy[tier] = busy

    def _charge(self, lease: Lease, account: Account, lent: Any) -> None:
        self._last_number = number = self._last_number + 1
        dropped = _Dropped(lease, self.orphans.append)
        dropped.number = number
        self._lent[number] = lease._lent = _tuple(_Lent, lent)  # half the price of calling _Lent
        self._dropped[number] = dropped
        lease.number = number
        account.held += self._sizes[lent[1]]
        account.leases += 1
        if account.reserve:
            self._keep(account)

    def _wait(self, waiter: _Waiter, seconds: float) -> None:
        """Until a slot was handed over. Raises PoolExhaustedError."""
        began = self._now()
        try:
            if self._exhausted == "block" and waiter.gate.acquire(True, max(seconds, 0.0)):
                return
        except BaseException:
            if self._leaves_the_line(waiter):
                self.take_back(waiter.lease)
            raise
        if self._leaves_the_line(waiter):  # handed over in the very last moment
            return
        with self._lock:
            tier = waiter.tier
            self._refused[tier] += 1
            self._was_refused[tier] = True
            held = Counter(lent.account.name for lent in self._lent.values() if lent.tier == tier)
            reserved = min(self._kept[tier] - waiter.account.kept[tier], self._slabs[tier].free)
        raise PoolExhaustedError(
            tier=self.tiers[tier].name,
            owner=waiter.account.name,
            slots=self.tiers[tier].slots,
            reserved=reserved,
            waited=self._now() - began,
            holders=tuple(held.most_common(_MOST_NAMED)),
        )

    def _leaves_the_line(self, waiter: _Waiter) -> bool:
        """Wait no longer; whether it was served before."""
        with self._lock:
            if waiter in self._waiting[waiter.tier]:
                self._waiting[waiter.tier].remove(waiter)
            return waiter.lease.number != 0

    def _serve(self, tier: int) -> None:
        """Hand free slots to those who wait for them, whoever came first; passed over are those who may have none."""
        for waiter in tuple(self._waiting[tier]):
            account, lent = waiter.account, waiter.lease._lent
            if self._is_free_for(account, tier) and account.refuses(self._sizes[tier]) is None:
                self._lend(waiter.lease, account, tier, waiter.size, lent.code, lent.offset)
                self._waiting[tier].remove(waiter)
                waiter.gate.release()

    # -- taking back -------------------------------------------------------------------------------------------------

    def take_back(self, lease: Lease) -> None:
        """What ``Lease.release`` does."""
        if lease.number not in self._lent:
            raise lease._released()
        lent = lease._lent
        try:
            lent.view.release()
        except BufferError:
            raise _in_use(lease.number, lent) from None
        with self._lock:
            if self._free(lease.number):
                lease.number = 0
                return
        raise lease._released()  # another thread was faster

    def is_lent(self, number: int) -> bool:
        """Whether a lease of that number was not given back yet."""
        return number in self._lent

    def _free(self, number: int) -> bool:
        """Nobody has that lease any more; false where that was so before."""
        try:
            lent = self._lent.pop(number, None)
            if lent is None:
                return False
            self._dropped.pop(number, None)
            account, tier, slot, *_ = lent
            account.held -= self._sizes[tier]
            account.leases -= 1
            if account.reserve:
                self._keep(account)
            if slot != _OVERFLOW:
                if self._debug:
                    self._slabs[tier].fill(slot, _POISON)
                self._slabs[tier].put_back(slot)
            if self._waiting[tier]:
                self._serve(tier)
        except BaseException:
            self._put_right()
            raise
        return True

    def take_back_orphans(self) -> None:
        """Take slots back whose leases were dropped, and tell of them."""
        while self.orphans:
            try:
                dropped = self.orphans[0]  # and out of there when all is done: no interruption loses it
            except IndexError:  # another thread's by now
                return
            lent = self._lent.get(dropped.number)
            if lent is not None and not self._take_from(dropped.number, lent):
                lent = None  # another thread was faster
            try:
                self.orphans.remove(dropped)
            except ValueError:
                continue
            if lent is not None:
                self._tell(self.record_of(dropped.number, lent))

    def _take_from(self, number: int, lent: _Lent) -> bool:
        """Take a slot from whoever may have the view, and say if that is news; what something stands on stays lent."""
        try:
            lent.view.release()
        except BufferError:
            return True
        with self._lock:
            return self._free(number)

    def _tell(self, record: LeaseRecord) -> None:
        self._leaked.append(record)
        if self._on_leak is not None:
            try:
                self._on_leak(record)
            except Exception:  # of a stranger's, in the middle of somebody else's request
                pass

    def release_owner(self, owner: str) -> int:
        """Take all slots of an owner back, whoever has the leases; returns how many there were.

        Whoever goes on to use one of its views gets an error. What an array or the like stands on stays lent: raises
        LeaseInUseError for the first of these, when all others are free.
        """
        with self._lock:
            lent = [(number, each) for number, each in self._lent.items() if each.account.name == owner]
        freed, in_use = 0, None
        for number, each in lent:
            try:
                each.view.release()
            except BufferError:
                in_use = in_use or _in_use(number, each)
                continue
            with self._lock:
                freed += self._free(number)
        if in_use is not None:
            raise in_use
        return freed

    # -- owners ------------------------------------------------------------------------------------------------------

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0, largest: int | None = None) -> None:
        """What an owner may hold, and what is kept for it, in bytes of whole slots; ``largest``: of one buffer.

        Raises LeaseLimitError where the reserves of all do not fit, or are more than the limit; then nothing changed.
        """
        with self._lock:
            account = self._account(owner)
            before = account.limit, account.reserve, account.largest
            try:
                account.limit, account.reserve, account.largest = lease, reserve, largest
                self._keep(account)
                room = all(kept <= tier.slots for kept, tier in zip(self._kept, self.tiers, strict=True))
                if not room or (lease is not None and reserve > lease):
                    why = "all reserves together are more than there is" if not room else "a reserve above the limit"
                    raise LeaseLimitError(owner=owner, wanted=reserve, held=account.held, limit=lease or 0, why=why)
            except BaseException:
                account.limit, account.reserve, account.largest = before
                self._put_right()
                raise
            for tier, waiting in enumerate(self._waiting):
                if waiting:
                    self._serve(tier)

    def _keep(self, account: Account) -> None:
        """Keep as many free slots for an account as what is left of its reserve asks for."""
        now = account.keeps(self._sizes) if account.reserve else [0] * len(self._sizes)
        for tier, (before, after) in enumerate(zip(account.kept, now, strict=True)):
            self._kept[tier] += after - before
        account.kept = now

    def usage(self, owner: str) -> OwnerUsage:
        """What an owner holds and may hold."""
        with self._lock:
            account = self._account(owner)
            return OwnerUsage(owner, account.held, account.limit, account.reserve, account.leases)

    # -- looking -----------------------------------------------------------------------------------------------------

    def leases(self, owner: str | None = None) -> tuple[LeaseRecord, ...]:
        """What is lent now, oldest first."""
        with self._lock:
            lent = tuple(self._lent.items())
        return tuple(self.record_of(*each) for each in lent if owner is None or each[1].account.name == owner)

    def leaked(self) -> tuple[LeaseRecord, ...]:
        """Leases that were dropped and never given back: the last thousand, with the place that each was lent at."""
        self.take_back_orphans()
        return tuple(self._leaked)

    def stale_writes(self) -> tuple[str, ...]:
        """With ``debug``: a line for each slot that was written to after it had been given back."""
        return tuple(self._stale)

    def record_of(self, number: int, lent: _Lent) -> LeaseRecord:
        """A lease as plain values."""
        tier = self.tiers[lent.tier]
        where = location(lent.code, lent.offset)
        return LeaseRecord(number, lent.account.name, tier.name, tier.slot, lent.size, where)

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """One record for each tier, smallest first."""
        self.take_back_orphans()
        with self._lock:
            asked, busy = [0] * len(self.tiers), [0] * len(self.tiers)
            for lent in self._lent.values():
                if lent.slot != _OVERFLOW:
                    asked[lent.tier] += lent.size
                    busy[lent.tier] += 1
            whole = sum(tier.slot * tier.slots for tier in self.tiers)
            found, smaller = [], 0
            for at, (tier, slab) in enumerate(zip(self.tiers, self._slabs, strict=True)):
                found.append(
                    PoolStatistics(
                        tier=tier.name,
                        slot=tier.slot,
                        slots=tier.slots,
                        busy=busy[at],
                        most_busy=self._most_busy[at],
                        leases=self._leases[at],
                        refused=self._refused[at],
                        overflowed=self._overflowed[at],
                        external=smaller / whole if self._was_refused[at] else 0.0,
                        internal=1 - asked[at] / (busy[at] * tier.slot) if busy[at] else 0.0,
                        idle=slab.idle / tier.slots,
                    )
                )
                smaller += slab.free * tier.slot
            return tuple(found)

    def cool(self, most: int = 0) -> int:
        """Give the memory of free slots back to the system, all but so many of each tier; returns the bytes."""
        with self._lock:
            return sum(slab.cool(most) for slab in self._slabs)

    def close(self) -> None:
        """Give all mappings back. Raises LeaseInUseError while something is lent, and changes nothing then."""
        self.take_back_orphans()
        with self._lock:
            for number, lent in self._lent.items():
                raise _in_use(number, lent)
            for slab in self._slabs:
                slab.close()
            self._slabs = []

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    def _look_for_stale_writes(self, slab: Slab, tier: int, slot: int) -> None:
        last: Any = slab.last[slot]
        if last is not None and not slab.is_filled(slot, _POISON):
            self._stale.append(
                f"{self.tiers[tier].name} slot {slot}, which {last.name!r} had, was written to after that"
            )

    def _put_right(self) -> None:
        """After an interruption, whichever step it came in: all follows from what is lent."""
        taken: list[set[int]] = [set() for _ in self.tiers]
        for account in self._accounts.values():
            account.held = account.leases = 0
        for lent in self._lent.values():
            lent.account.held += self._sizes[lent.tier]
            lent.account.leases += 1
            taken[lent.tier].add(lent.slot)
        for slab, numbers in zip(self._slabs, taken, strict=True):
            slab.renew(numbers)
        for account in self._accounts.values():
            account.kept = account.keeps(self._sizes)
        kept = [account.kept for account in self._accounts.values()]
        self._kept = [sum(each) for each in zip(*kept, strict=True)] if kept else [0] * len(self.tiers)

    def _renew(self) -> None:
        """In a forked child: other threads, and their places in line, are gone."""
        self._lock = allocate_lock()
        for waiting in self._waiting:
            waiting.clear()
        self._put_right()

    def __repr__(self) -> str:
        parts = [
            f"{tier.name} {slab.slots - slab.free} busy, {slab.free} free"
            for tier, slab in zip(self.tiers, self._slabs, strict=False)
        ]
        return f"<BufferPools: {'; '.join(parts) or 'closed'}>"


def _in_use(number: int, lent: _Lent) -> LeaseInUseError:
    return LeaseInUseError(number=number, owner=lent.account.name, where=site(lent.code, lent.offset))


__all__ = ["BufferPools", "Lease"]
