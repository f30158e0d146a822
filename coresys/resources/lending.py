"""Buffers that are lent: tiers of slots, owners with limits and reserves, and whoever waits in line.

Invariants, all under one lock, which is a leaf (nothing of a user's, and nothing that waits, is called under it):

- What is promised is taken in the same step: a slot that is handed to somebody who waits is lent from then on.
- A slot is lent as long as its number is in ``_lent``, and only then is it charged to its account. All else follows
  from that, and is made anew from it where an exception out of nowhere (KeyboardInterrupt) breaks off a change.
- In each tier there are as many free slots as all accounts keep together (``Account.kept``), as far as slots were free
  when the reserves were declared.

The interpreter may run code of a user's after any call of any thread, in here too, under the lock: a finalizer that the
collector calls, the handler of a signal. So who holds the lock is written down, and there is no call between taking it
and that. What comes in from there and *gives back* is noted, and taken back when the change is over; all else is
refused (ReentrantCallError), as a buffered file refuses it.
A lease that nobody holds any more, and that was never given back, is found by the interpreter as well: what it calls
takes no lock, and is no Python, which could be interrupted; it is noted, and whoever comes by next takes the slot back.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock, get_ident
from collections import Counter, deque
from collections.abc import Callable, Iterable
from operator import add
from sys import _getframe
from types import CodeType
from typing import Any, Literal, TypeVar

from coresys.clock import monotonic
from coresys.errors.hierarchy import (
    LeaseLimitError,
    LeaseSizeError,
    PoolExhaustedError,
    PoolsClosedError,
    ReentrantCallError,
    SharedTierError,
)
from coresys.forks import renew_in_children
from coresys.resources.lease import Dropped, Lease, Lent, LetGo, Raw, keep_lost
from coresys.resources.shared import OPEN, RETURNED, LeaseToken, SharedSlab, shared_slab, slab_of
from coresys.resources.slab import Slab
from coresys.resources.tiers import (
    DEFAULT_TIERS,
    SEPARATOR,
    Account,
    Channel,
    Tier,
    beside,
    checked,
    refusal,
)
from coresys.system_records import LeaseRecord
from coresys.threads.sites import SEEN_THROUGH, location

Exhausted = Literal["block", "overflow", "error"]
Zeroing = Literal["owner", "always", "never"]
T = TypeVar("T")

_POISON = 0xA5
_MOST_LEAKED = 1000
_MOST_NAMED = 3
OVERFLOW = -1  # the slot of a lease that is on the heap
_SELDOM = 15  # every sixteenth release looks at the clock
_LOOK_EVERY = 0.01  # seconds, for what comes back from other processes
_MOST_COOLED = 1 << 20  # bytes at one release: half a millisecond
_FEWEST_ACCOUNTS = 64  # that are kept, whether anything is held by them or not

_NOTHING = memoryview(b"")


class _Waiter:
    __slots__ = ("account", "gate", "lease", "size", "tier")

    def __init__(self, account: Account, tier: int, size: int, lease: Lease) -> None:
        self.account, self.tier, self.size, self.lease = account, tier, size, lease
        self.gate = allocate_lock()
        self.gate.acquire()


class _Figures:
    """What is counted of one tier."""

    __slots__ = ("kept", "leases", "most_busy", "overflowed", "refused", "was_refused")

    def __init__(self) -> None:
        self.kept = 0  # free slots that are kept for accounts, of all of them
        self.leases = self.refused = self.overflowed = 0
        self.most_busy = 0  # before its slab was made anew; of that slab, see ``fresh``
        self.was_refused = False  # the last request, for want of slots


class Lending:
    """What ``BufferPools`` stands on: all that lends a slot, waits for one, and takes one back."""

    # As slots, each is found at once; of as many attributes as these the interpreter makes a dictionary for each pools.
    # There may be one beside them, so that a test can put something of its own in the place of a method.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_accounts",
        "_channels",
        "_closed",
        "_debug",
        "_decay",
        "_due",
        "_exhausted",
        "_figures",
        "_handed",
        "_holder",
        "_is_shared",
        "_last_number",
        "_leaked",
        "_lent",
        "_lock",
        "_most_accounts",
        "_now",
        "_on_leak",
        "_opened",
        "_orphaned",
        "_others",
        "_put_off",
        "_sizes",
        "_slabs",
        "_smallest",
        "_stale",
        "_stuck",
        "_timeout",
        "_waiting",
        "_zeroes_always",
        "_zeroing",
        "orphans",
        "tiers",
    )

    def __init__(
        self,
        tiers: Iterable[Tier] = DEFAULT_TIERS,
        *,
        exhausted: Exhausted = "block",
        zeroing: Zeroing = "owner",
        timeout: float = 1.0,
        decay: float | None = 60.0,
        debug: bool = False,
        on_leak: Callable[[LeaseRecord], object] | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.tiers = checked(tiers)
        self._sizes = tuple(tier.slot for tier in self.tiers)
        self._smallest = self._sizes[0]  # 0 when closed: so the quick way leads to nothing
        self._slabs = [slab_of(tier) for tier in self.tiers]
        self._is_shared = any(tier.shared for tier in self.tiers)
        self._exhausted, self._zeroing, self._timeout, self._debug = exhausted, zeroing, timeout, debug
        self._zeroes_always = zeroing == "always"
        self._on_leak, self._now = on_leak, now
        self._decay = decay
        self._due = None if decay is None else now() + decay  # when some may cool
        self._lock = allocate_lock()
        self._holder = 0  # the thread that is inside; after an interruption it may say so of one that is out again
        self._closed = False
        self._accounts: dict[str, Account] = {}
        # Requests of owners whose accounts were dropped, as ``taken`` and ``denied`` of an account.
        self._others = ([0] * len(self.tiers), [0] * len(self.tiers))
        self._channels: dict[str, Channel] = {}  # those that are open
        self._opened: dict[str, tuple[CodeType, int]] = {}  # and where each was
        self._most_accounts = _FEWEST_ACCOUNTS
        self._lent: dict[int, Dropped | LetGo] = {}
        self._last_number = 0
        self._waiting: deque[_Waiter] = deque()  # for whichever tier; whoever came first is first
        self._figures = tuple(_Figures() for _ in self.tiers)
        self._stale: deque[str] = deque(maxlen=_MOST_LEAKED)
        self._leaked: deque[LeaseRecord] = deque(maxlen=_MOST_LEAKED)
        self.orphans: deque[Dropped] = deque()
        self._orphaned = self.orphans.append
        self._put_off: deque[int] = deque()  # numbers that were given back in the middle of a change
        self._handed: dict[int, None] = {}  # numbers that are with other processes
        self._stuck: dict[int, object] = {}  # dropped, but something stands on the memory
        renew_in_children(self, Lending._renew)

    # -- the lock ----------------------------------------------------------------------------------------------------

    def _is_inside(self, thread: int) -> bool:
        """Whether the thread that asks is in the middle of a change: it may not wait for the lock."""
        return self._holder == thread and self._lock.locked()

    def _locked(self, action: str, do: Callable[..., T], *given: Any) -> T:
        """Call under the lock what is not called often. Raises ReentrantCallError."""
        me = get_ident()
        if self._is_inside(me):
            raise ReentrantCallError(action=action)
        with self._lock:
            self._holder = me
            try:
                done = do(*given)
            finally:
                self._holder = 0
        if self._put_off:
            self._take_back_put_off()
        return done

    # -- lending -----------------------------------------------------------------------------------------------------

    def lease(
        self,
        size: int,
        *,
        owner: str,
        timeout: float | None = None,
        depth: int = 1,
        channel: Channel | None = None,
    ) -> Lease:
        """A buffer of ``size`` bytes, from the smallest tier that has such.

        Raises LeaseSizeError, LeaseLimitError (before anything is taken), PoolExhaustedError after ``timeout`` seconds,
        PoolsClosedError. ``depth``: how many calls up is the place that is remembered for it. ``channel``: that which
        has to be open, for whoever asks through a view of it.
        """
        frame, me = _getframe(depth), get_ident()
        code = frame.f_code
        while id(code) in SEEN_THROUGH and frame.f_back is not None:
            frame = frame.f_back
            code = frame.f_code
        offset = frame.f_lasti
        if self._holder == me and self._lock.locked():  # as _is_inside
            raise ReentrantCallError(action="lease()")
        if self.orphans or self._put_off:
            self.take_back_orphans()
        if self._handed:
            self._take_back_returned()
        tier = 0 if 0 < size <= self._smallest else self._tier_for(size, owner, channel)
        lease = Lease()  # before anything is taken; without an __init__, for it is on everybody's path
        lease._pools, lease.number = self, 0
        waiter: _Waiter | None = None
        try:
            with self._lock:
                self._holder = me
                try:
                    if self._closed or (channel is not None and channel.closed):
                        raise self._closed_error(owner, channel)
                    account, slab = self._accounts.get(owner) or self._account(owner), self._slabs[tier]
                    if account.held + slab.slot > account.most:
                        self._check(account, tier)
                    if (
                        account.is_plain and len(slab.warm) > self._figures[tier].kept  # the usual way, and the quicker
                    ) or self._is_free_for(account, tier):
                        self._lend(lease, account, tier, size, code, offset)
                    elif self._exhausted == "overflow":
                        self._lend_on_heap(lease, account, tier, size, code, offset)
                    else:
                        waiter = self._queue(lease, account, tier, size, code, offset)
                finally:
                    self._holder = 0
            if self._put_off:
                self._take_back_put_off()
            if waiter is not None:
                self._wait(waiter, timeout if timeout is not None else self._timeout)
        except BaseException:
            if waiter is not None:
                self._locked("lease()", self._leave_the_line, waiter)
            if lease.number:
                self.take_back(lease)
            raise
        return lease

    def _tier_for(self, size: int, owner: str, channel: Channel | None = None) -> int:
        told = owner if channel is None else self._name_in(channel, owner)
        if self._closed:
            raise PoolsClosedError(owner=told)
        for at, slot in enumerate(self._sizes):
            if 0 < size <= slot:
                return at
        raise LeaseSizeError(size=size, owner=told, largest=self._sizes[-1])

    def _closed_error(self, owner: str, channel: Channel | None) -> PoolsClosedError:
        if channel is None or not channel.closed:
            return PoolsClosedError(owner=owner)
        return PoolsClosedError(owner=self._name_in(channel, owner), channel=channel.name)

    def _check(self, account: Account, tier: int) -> None:
        for channel in account.path:
            if channel.closed:  # what of it is in use still, and asked for by its full name
                raise self._closed_error(account.name, channel)
        refused = refusal(account, tier, self._sizes)
        if refused is None:
            return
        self._note_refused(account, tier)
        who, largest = refused.who, refused.largest
        raise LeaseLimitError(
            owner=account.own,
            wanted=self._sizes[tier],
            held=who.held,
            limit=who.limit or 0 if largest is None else largest,
            why=refused.why,
            channel=who.name if isinstance(who, Channel) else "",
            largest=largest,
        )

    def _note_refused(self, account: Account, tier: int, *, exhausted: bool = False) -> None:
        figures = self._figures[tier]
        figures.refused += 1
        account.denied[tier] += 1
        figures.was_refused = figures.was_refused or exhausted
        for channel in account.path:
            channel.refused[tier] += 1
            channel.was_refused[tier] = channel.was_refused[tier] or exhausted

    def _account(self, owner: str) -> Account:
        """The account of an owner. Those that hold nothing, and of which nothing was said, are dropped at times."""
        account = self._accounts.get(owner)
        if account is None:
            if len(self._accounts) >= self._most_accounts:
                waited_for = {waiter.account.name for waiter in self._waiting}
                before, self._accounts = (
                    self._accounts,
                    {
                        name: each
                        for name, each in self._accounts.items()
                        if each.leases or each.is_declared or name in waited_for
                    },
                )
                for name in before.keys() - self._accounts.keys():
                    self._sum_up(before[name])
                self._most_accounts = max(2 * len(self._accounts), _FEWEST_ACCOUNTS)
            account = self._accounts[owner] = Account(owner, len(self.tiers), self._channel_of(owner))
        return account

    def _sum_up(self, account: Account) -> None:
        """What an owner asked for whose account is dropped goes on to count, without its name."""
        for sums, counts in zip(self._others, (account.taken, account.denied), strict=True):
            sums[:] = map(add, sums, counts)

    def _channel_of(self, name: str) -> Channel | None:
        """The innermost open channel whose name the given one begins with."""
        while self._channels and name:
            name = name.rpartition(SEPARATOR)[0]
            if name in self._channels:
                return self._channels[name]
        return None

    def _is_free_for(self, account: Account, tier: int) -> bool:
        return self._slabs[tier].free > self._kept_from(account, tier)

    def _kept_from(self, account: Account, tier: int) -> int:
        """How many free slots of a tier an account may not have, for they are kept for others."""
        outermost = account.path[-1] if account.path else account
        return self._figures[tier].kept - outermost.kept[tier] + beside(account, tier)

    def _lend(self, lease: Lease, account: Account, tier: int, size: int, code: CodeType | None, offset: int) -> None:
        """Take a free slot and charge it. Interrupted at any place, all is as before.

        What is done here and not by a method of the slab is on everybody's path, and costs half as much so.
        """
        slab, figures, before = self._slabs[tier], self._figures[tier], self._last_number
        try:
            warm = slab.warm
            if warm:  # as Slab.take
                slot = warm.pop()
                if len(warm) < slab.least:
                    slab.least = len(warm)
            else:
                slot = slab.take()
            if self._debug:
                self._look_for_stale_writes(slab, tier, slot)
            if slab.last[slot] is not account or self._zeroes_always:
                if self._zeroing != "never":
                    slab.zero(slot)
                slab.last[slot] = account
            if size > slab.exposed[slot]:  # as Slab.view
                slab.exposed[slot] = size
            at = slot * slab.slot
            view = slab.base[at : at + size]
            self._last_number = number = before + 1
            dropped = Dropped(lease, self._orphaned)
            dropped.number = number
            dropped.lent = lease._lent = (account, tier, slot, size, code, offset, view)
            self._lent[number] = dropped
            lease.number = number
            account.held += slab.slot
            account.slots[tier] += 1
            if not account.is_plain:
                self._keep_with_channels(account, tier, 1)
        except BaseException:
            self._undo(lease, before)
            raise
        figures.was_refused = False
        figures.leases += 1
        account.taken[tier] += 1
        if not account.is_plain:
            for channel in account.path:
                channel.was_refused[tier] = False
                channel.leased[tier] += 1
                if channel.slots[tier] > channel.most_busy[tier]:
                    channel.most_busy[tier] = channel.slots[tier]
                if account.held > channel.most_of_one[1]:
                    self._note_most(account, channel)

    def _lend_on_heap(
        self, lease: Lease, account: Account, tier: int, size: int, code: CodeType | None, offset: int
    ) -> None:
        """A buffer of its own, counted and charged as any."""
        before = self._last_number
        try:
            on_heap = memoryview(bytearray(size))
            self._charge_on_heap(lease, account, (account, tier, OVERFLOW, size, code, offset, on_heap))
            self._figures[tier].overflowed += 1
            account.taken[tier] += 1
            for channel in account.path:
                channel.overflowed[tier] += 1
        except BaseException:
            self._undo(lease, before)
            raise

    def _charge_on_heap(self, lease: Lease, account: Account, lent: Raw) -> None:
        self._last_number = number = self._last_number + 1
        dropped = Dropped(lease, self._orphaned)
        dropped.number = number
        dropped.lent = lease._lent = lent
        self._lent[number] = dropped
        lease.number = number
        tier = lent[1]
        account.held += self._sizes[tier]
        account.heaped[tier] += 1
        self._charge_channels(account, tier, 1, 0)

    def _undo(self, lease: Lease, before: int) -> None:
        """What was lent since the number was ``before`` was not."""
        if self._last_number != before:  # else that number is of somebody else's lease
            self._lent.pop(self._last_number, None)
        lease.number = 0
        self._put_right()

    # -- the line ----------------------------------------------------------------------------------------------------

    def _queue(
        self, lease: Lease, account: Account, tier: int, size: int, code: CodeType | None, offset: int
    ) -> _Waiter:
        if self._slabs[tier].is_forsaken:
            problem = "in a forked child it lends nothing, for it is its parent's: hand leases over by tokens"
            raise SharedTierError(tier=self.tiers[tier].name, problem=problem)
        lease._lent = (account, tier, OVERFLOW, size, code, offset, _NOTHING)
        waiter = _Waiter(account, tier, size, lease)
        if self._exhausted == "block":
            try:
                self._waiting.append(waiter)
            except BaseException:
                self._leave_the_line(waiter)
                raise
        return waiter

    def _wait(self, waiter: _Waiter, seconds: float) -> None:
        """Until a slot was handed over. Raises PoolExhaustedError, PoolsClosedError."""
        began = self._now()
        if self._exhausted == "block":
            self._wait_at(waiter, min(max(seconds, 0.0), TIMEOUT_MAX))
        if waiter.lease.number:
            return
        self.take_back_orphans()
        self._take_back_stuck()
        self._take_back_returned(dead=True)
        error = self._locked("lease()", self._last_look, waiter, began)
        if error is not None:
            raise error

    def _wait_at(self, waiter: _Waiter, seconds: float) -> None:
        """Until it is woken, or so many seconds; nobody wakes it for what comes back from other processes."""
        if not self._is_shared:
            waiter.gate.acquire(True, seconds)
            return
        until = monotonic() + seconds
        while not waiter.gate.acquire(True, min(max(until - monotonic(), 0.0), _LOOK_EVERY)):
            if monotonic() >= until:
                return
            self._take_back_returned(dead=True)

    def _last_look(self, waiter: _Waiter, began: float) -> Exception | None:
        """Wait no longer: None where there is a slot now, else what is raised."""
        ended = next((channel for channel in waiter.account.path if channel.closed), None)
        if self._closed or ended is not None:
            self._leave_the_line(waiter)
            return self._closed_error(waiter.account.name, ended)
        account, tier = self._account(waiter.account.name), waiter.tier
        self._serve()
        if not waiter.lease.number:
            self._leave_the_line(waiter)
            lent = waiter.lease.lent
            if self._exhausted != "block" and self._is_free_for(account, tier):
                self._lend(waiter.lease, account, tier, waiter.size, lent.code, lent.offset)
        if waiter.lease.number:
            return None
        self._note_refused(account, tier, exhausted=True)
        held = Counter(lent.account.name for lent in self._all_lent() if lent.tier == tier)
        return PoolExhaustedError(
            tier=self.tiers[tier].name,
            owner=account.own,
            slots=self.tiers[tier].slots,
            reserved=min(self._kept_from(account, tier), self._slabs[tier].free),
            waited=self._now() - began,
            holders=tuple(held.most_common(_MOST_NAMED)),
        )

    def _leave_the_line(self, waiter: _Waiter) -> None:
        """Nobody serves it from now on."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)

    def _serve(self) -> None:
        """Hand free slots to those who wait for them, whoever came first; passed over are those who may have none."""
        for waiter in tuple(self._waiting):
            account, tier, lent = waiter.account, waiter.tier, waiter.lease.lent
            if not waiter.lease.number:  # else an interruption came between this line and those below
                if not self._is_free_for(account, tier) or refusal(account, tier, self._sizes):
                    continue
                self._lend(waiter.lease, account, tier, waiter.size, lent.code, lent.offset)
            self._waiting.remove(waiter)
            waiter.gate.release()

    # -- taking back -------------------------------------------------------------------------------------------------

    def take_back(self, lease: Lease) -> None:
        """What ``Lease.release`` does."""
        number, me = lease.number, get_ident()
        if number not in self._lent:
            raise lease.lent.released(number)
        try:
            lease._lent[-1].release()  # its view
        except BufferError:
            raise lease.lent.in_use(number) from None
        if self._holder == me and self._lock.locked():  # as _is_inside
            self._put_off.append(number)
            self._watch_no_more(number)
            lease.number = 0
            return
        with self._lock:
            self._holder = me
            try:
                freed = self._free(number)
                if freed:
                    lease.number = 0
                if not number & _SELDOM and self._due is not None and self._now() >= self._due:
                    self._cool_some(_MOST_COOLED)
            finally:
                self._holder = 0
        if self._put_off:
            self._take_back_put_off()
        if not freed:
            raise lease.lent.released(number)  # another thread was faster

    def is_lent(self, number: int) -> bool:
        """Whether a lease of that number was not given back yet."""
        return number in self._lent

    def _all_lent(self) -> list[Lent]:
        return [Lent._make(each.lent) for each in self._lent.values()]

    def record_of(self, number: int, lent: Lent, owner: str | None = None) -> LeaseRecord:
        """A lease as plain values; ``owner``: what its owner is called there."""
        tier = self.tiers[lent.tier]
        where = location(lent.code, lent.offset)
        return LeaseRecord(
            number, lent.account.name if owner is None else owner, tier.name, tier.slot, lent.size, where
        )

    def _lent_as(self, number: int) -> Lent | None:
        known = self._lent.get(number)
        return None if known is None else Lent._make(known.lent)

    def _watch_no_more(self, number: int) -> None:
        """The lease may die, and is not told as dropped."""
        known = self._lent.get(number)
        if known is not None:
            self._lent[number] = LetGo(known.lent)

    def _free(self, number: int) -> bool:
        """Nobody has that lease any more; false where that was so before."""
        known = self._lent.get(number)
        if known is None:
            return False
        account, tier, slot, _, _, _, _ = known.lent
        slab = self._slabs[tier]
        try:
            del self._lent[number]
            account.held -= slab.slot
            if slot == OVERFLOW:
                account.heaped[tier] -= 1
                self._charge_channels(account, tier, -1, 0)
            else:
                account.slots[tier] -= 1
                if not account.is_plain:
                    self._keep_with_channels(account, tier, -1)
                if self._debug:
                    slab.fill(slot, _POISON)
                slab.warm.append(slot)  # as Slab.put_back
            if self._stuck or self._handed:
                self._stuck.pop(number, None)
                self._handed.pop(number, None)
            if self._waiting:
                self._serve()
        except BaseException:
            if slot != OVERFLOW and number not in self._lent:
                slab.last[slot] = None  # it may be half filled: nobody's writes are looked for
            self._put_right()
            raise
        return True

    def _take_back_put_off(self) -> None:
        """Take back what finalizers and handlers of signals gave back in the middle of a change."""
        me = get_ident()
        while self._put_off and not self._is_inside(me):
            try:
                number = self._put_off[0]  # and out of there when all is done: no interruption loses it
            except IndexError:  # another thread's by now
                return
            with self._lock:
                self._holder = me
                try:
                    self._free(number)
                    if number in self._put_off:
                        self._put_off.remove(number)
                finally:
                    self._holder = 0

    def take_back_orphans(self) -> None:
        """Take slots back whose leases were dropped, and tell of them."""
        if self._is_inside(get_ident()):
            return  # whoever is inside, or comes by next, does it
        self._take_back_put_off()
        while self.orphans:
            try:
                dropped = self.orphans[0]  # and out of there when all is done: no interruption loses it
            except IndexError:  # another thread's by now
                return
            lent = self._lent_as(dropped.number)
            mine = lent is not None and self._take_from(dropped.number, lent)
            try:
                self.orphans.remove(dropped)
            except ValueError:  # by another thread, for which it was not there any more
                pass
            if lent is not None and mine:
                keep_lost(self.record_of(dropped.number, lent), self._leaked, self._on_leak)

    def hand_over(self, lease: Lease) -> LeaseToken:
        """What ``Lease.hand_over`` does."""
        number, lent = lease.number, lease.lent
        if number not in self._lent:
            raise lent.released(number)
        slab = shared_slab(self._slabs[lent.tier], self.tiers[lent.tier].name)
        if lent.slot == OVERFLOW:
            raise SharedTierError(tier=self.tiers[lent.tier].name, problem="this buffer is on the heap, by overflow")
        try:
            lent.view.release()
        except BufferError:
            raise lent.in_use(number) from None
        self._locked("hand_over()", self._hand_over, lease, number, slab, lent)
        return slab.token(lent.slot, number, lent.size, lent.account.own)

    def _hand_over(self, lease: Lease, number: int, slab: SharedSlab, lent: Lent) -> None:
        if number not in self._lent:
            raise lent.released(number)  # another thread was faster
        slab.hand_over(lent.slot, number)
        self._handed[number] = None
        lease.number = 0
        self._watch_no_more(number)

    def _take_back_returned(self, *, dead: bool = False) -> None:
        """Take back what other processes have given back; with ``dead``, also what those had that have ended."""
        for number in tuple(self._handed):
            lent = self._lent_as(number)
            slab = None if lent is None else self._slabs[lent.tier]
            if lent is None or not isinstance(slab, SharedSlab):
                self._handed.pop(number, None)
                continue
            state = slab.state(lent.slot)
            if (state == RETURNED or (dead and state == OPEN)) and self._recall(number, lent) and state == OPEN:
                keep_lost(self.record_of(number, lent), self._leaked, self._on_leak)

    def _recall(self, number: int, lent: Lent) -> bool:
        """Take back what was handed over, where no process has it open; true for one of those who try."""
        done: bool = self._locked("taking back", self._recall_inside, number, lent)
        return done

    def _recall_inside(self, number: int, lent: Lent) -> bool:
        slab = self._slabs[lent.tier]
        if number not in self._lent or not isinstance(slab, SharedSlab) or not slab.recall(lent.slot):
            return False
        return self._free(number)

    def _let_go(self, number: int, lent: Lent) -> bool:
        """Whether nothing stands on the memory of a lease any more, here or in another process."""
        if number in self._handed:
            return self._recall(number, lent) or number not in self._lent
        try:
            lent.view.release()
        except BufferError:
            return False
        return True

    def _take_from(self, number: int, lent: Lent) -> bool:
        """Take a slot from whoever may have the view; true for one of those who try. What is stood on stays lent."""
        try:
            lent.view.release()
        except BufferError:
            mine = object()
            return self._stuck.setdefault(number, mine) is mine
        return self._locked("taking back", self._free, number)

    def _take_back_stuck(self) -> None:
        """Take back what was dropped while something stood on its memory, and has been let go since."""
        for number in tuple(self._stuck):
            lent = self._lent_as(number)
            try:
                if lent is not None:
                    lent.view.release()
            except BufferError:
                continue
            self._locked("taking back", self._free, number)
            self._stuck.pop(number, None)

    def _lent_now(self, owner: str | None) -> list[tuple[int, Lent]]:
        everything = zip(self._lent, self._all_lent(), strict=True)
        return [(number, lent) for number, lent in everything if owner in (None, lent.account.name)]

    # -- accounts ------------------------------------------------------------------------------------------------------

    def _bytes_of(self, slots: Iterable[int]) -> int:
        return sum(count * size for count, size in zip(slots, self._sizes, strict=True))

    def _name_in(self, channel: Channel, owner: str) -> str:
        return owner.removeprefix(f"{channel.name}{SEPARATOR}")

    def _keep(self, account: Account, tier: int) -> None:
        """Keep as many free slots for an account as its reserve asks for, and its channels with it."""
        now = account.keeps(tier)
        change = now - account.kept[tier]
        account.kept[tier] = now
        for channel in account.path:
            channel.inner[tier] += change
            now = channel.keeps(tier)
            change = now - channel.kept[tier]
            channel.kept[tier] = now
        self._figures[tier].kept += change

    def _keep_with_channels(self, account: Account, tier: int, change: int) -> None:
        """One slot more, or less, of an account."""
        size, plain = self._sizes[tier], account.reserved is None
        for channel in account.path:
            channel.held += size * change
            channel.slots[tier] += change
            plain = plain and channel.reserved is None
        if not plain:  # else what is kept depends on nothing that changed
            self._keep(account, tier)

    def _charge_channels(self, account: Account, tier: int, leases: int, slots: int) -> None:
        for channel in account.path:
            if account.held > channel.most_of_one[1]:
                self._note_most(account, channel)
            channel.held += leases * self._sizes[tier]
            channel.slots[tier] += slots
            channel.heaped[tier] += leases - slots

    def _note_most(self, account: Account, channel: Channel) -> None:
        held = account.held - account.on_grants(self._sizes)
        if held > channel.most_of_one[1]:
            channel.most_of_one = (account.own, held)

    # -- giving memory back --------------------------------------------------------------------------------------------

    def _cool_some(self, most: int | None) -> int:
        """So many bytes of what is due, and a slot; None: all. What is left of it stays due."""
        if self._decay is None:
            return 0
        if not any(slab.surplus for slab in self._slabs):
            for slab in self._slabs:
                slab.mark()
        given = 0
        for slab in self._slabs:
            if slab.surplus and (most is None or given < most):
                left = slab.slot * slab.slots if most is None else most - given
                given += self._cool(Slab.cool_surplus, [slab], left)
        if not any(slab.surplus for slab in self._slabs):
            self._due = self._now() + self._decay
        return given

    def _cool(self, cool: Callable[..., int], slabs: list[Slab] | None = None, *given: int) -> int:
        try:
            return sum(cool(slab, *given) for slab in (self._slabs if slabs is None else slabs))
        except BaseException:
            self._put_right()
            raise

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
        for lent in self._all_lent():
            if lent.slot != OVERFLOW:
                taken[lent.tier].add(lent.slot)
        for slab, numbers in zip(self._slabs, taken, strict=False):  # there are none where it was closed
            slab.renew(numbers)
        self._recount()

    def _recount(self) -> None:
        """Who is in which channel, what each holds, and what is kept for whom, from what is lent and was said."""
        tiers = range(len(self.tiers))
        closed = {id(each): each for account in self._accounts.values() for each in account.path if each.closed}
        everybody: list[Account] = [*self._accounts.values(), *self._channels.values(), *closed.values()]
        for account in everybody:
            account.held = 0
            account.slots, account.heaped, account.kept = [0 for _ in tiers], [0 for _ in tiers], [0 for _ in tiers]
            if isinstance(account, Channel):
                account.parts, account.inner = {}, [0 for _ in tiers]
        for account in sorted(everybody, key=lambda each: len(each.name)):  # channels before those in them
            if account.channel is None or not account.channel.closed or self._channel_of(account.name) is not None:
                account.join(self._channel_of(account.name))
            is_part = not account.closed if isinstance(account, Channel) else account.reserved is not None
            if account.channel is not None and is_part:
                account.channel.parts[account.name] = account
        for lent in self._all_lent():
            on_heap = lent.slot == OVERFLOW
            for account in (lent.account, *lent.account.path):
                account.held += self._sizes[lent.tier]
                (account.heaped if on_heap else account.slots)[lent.tier] += 1
        for figures in self._figures:
            figures.kept = 0
        for account in everybody:
            for tier in tiers:
                self._keep(account, tier)

    def _renew(self) -> None:
        """In a forked child: other threads, and their places in line, are gone."""
        self._lock, self._holder = allocate_lock(), 0
        self._waiting.clear()
        for at, slab in enumerate(self._slabs):
            if isinstance(slab, SharedSlab):
                slab.forsake()
                for number in [number for number, lent in self._lent_now(None) if lent.tier == at]:
                    self._lent.pop(number, None)
        self._handed.clear()
        self._put_right()

    def __repr__(self) -> str:
        parts = [
            f"{tier.name} {slab.slots - slab.free} busy, {slab.free} free"
            for tier, slab in zip(self.tiers, self._slabs, strict=False)
        ]
        return f"<BufferPools: {'; '.join(parts) or 'closed'}>"


__all__ = ["OVERFLOW", "Exhausted", "Lending", "Zeroing"]
