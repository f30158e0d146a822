"""Locks with a declared order, an owner, deadlines and figures.

The fast path is one Python call around one attempt of the interpreter's own lock: no clock, no allocation but the frame
object, nothing formatted. What a waiter or an error wants to know is found when there is one.

Invariant, for every exception that may come out of nowhere (KeyboardInterrupt; a signal handler that raises): **when
such an exception leaves a ``with`` statement, its lock is not held by this thread.** What it rests on, in CPython 3.10
to 3.13: signals are looked for after calls and at the begin of a Python function, not inside BEFORE_WITH, nor between
it and the block.

- Before the raw lock is taken there is nothing to undo: an entry in the thread's list is a note, not a lock.
- From the attempt on, ``__enter__`` is inside a ``try`` whose handler lets the raw lock go *with its first call*,
  before which no signal is looked for; the raw lock itself refuses when it had not been taken.
- ``__exit__`` is the C method of the raw lock, kept in a slot of that name: there is no instruction of ours between the
  end of the block and the lock being free. So nobody is told when a lock is let go; that is found out when the
  thread takes its next one (see ``held``). Who looks the method up on the type gets a function: see ``contexts``.

Locks without a rank (``rank=None``) are checked for re-entry and for waiting in circles only. The order that such code
keeps could be learned in ``admit``, the one place that sees both what is held and what is wanted.
"""

from __future__ import annotations

from _thread import RLock, allocate_lock, get_ident
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from sys import _getframe
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from coresys.clock import monotonic
from coresys.errors.hierarchy import LockClosedError, LockOrderError, LockOwnershipError
from coresys.forks import call_in_children
from coresys.system_records import LockStatistics
from coresys.threads.contexts import Context
from coresys.threads.held import BOTTOM, Entry, here, thread_name
from coresys.threads.ranks import Rank
from coresys.threads.sites import NOT_KNOWN, owner_of, site_of
from coresys.threads.waits import Waits, asked_for, limit, wait

_serials = count(1)  # next() on it is one step of the interpreter; only made under no lock, only compared
L = TypeVar("L", bound="OrderedLock")


class OrderedLock(Entry, metaclass=Context):
    """A mutual exclusion lock that is taken in the order of its rank, and knows who holds it.

    >>> from coresys.threads import LockHierarchy, OrderedLock
    >>> service = LockHierarchy("service", ["registry", "channel"])
    >>> registry = OrderedLock(service["registry"])
    >>> orders = OrderedLock(service["channel"], name="orders")
    >>> with registry, orders:
    ...     orders
    <OrderedLock orders (service.channel): held by MainThread>

    A request out of order raises LockOrderError before it waits. ``timeout``: the seconds that any wait for it may last
    where the caller gives none; None or infinity: for ever; NaN raises ValueError, here and wherever seconds are given.
    ``now`` is the clock that waits for it are timed by. Not re-entrant. Only the holder may release it. It cannot be
    copied or pickled; in a forked child it is free.
    """

    __slots__ = ("__exit__", "_acquire", "_closed", "_release", "acquired", "now", "timeout", "waits")

    _acquire: Callable[..., bool]  # the raw lock's own methods
    _release: Callable[[], None]

    if TYPE_CHECKING:  # at run time this is a slot, that holds the raw lock's own method

        def __exit__(self, *exc: object) -> None: ...

    def __init__(
        self,
        rank: Rank | None = None,
        *,
        name: str = "",
        timeout: float | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        serial = next(_serials)
        super().__init__(name or (f"{rank}-{serial}" if rank is not None else f"lock-{serial}"), rank, serial)
        self.timeout, self.now = limit(timeout), now
        self.acquired = 0  # written by the holder only
        self.waits: Waits | None = None  # few locks are ever waited for
        self._closed = False
        self.renew()

    def renew(self) -> None:
        """Put a fresh raw lock in the place of the present one, which whoever holds it may still let go."""
        raw: Any = RLock()
        # Refusing first: nobody may take the fresh one with the ``__exit__`` of the old one in hand.
        self._acquire = partial(_refuse, self.name) if self._closed else raw.acquire
        self.raw, self.owned, self._release = raw, raw._is_owned, raw.release
        _exit_slot.__set__(self, raw.__exit__)

    # -- taking ------------------------------------------------------------------------------------------------------

    def __enter__(self: L) -> L:
        # What is called is first put into a variable: to call an attribute that is kept in a slot costs twice as much.
        held = here.held
        top = held[-1]
        owned = top.owned
        while not owned():
            if top is self:  # let go before, and still in its place
                break
            if held[-1] is top:  # else a signal handler or a finalizer was here meanwhile
                del held[-1]
            top = held[-1]
            owned = top.owned
        else:
            if top is BOTTOM or (top.group is self.group and top.index < self.index):
                held.append(self)
            elif not admit(self, held, _getframe(1)):
                # Its own once more: that never fails, so what is raised here came after it was counted up.
                try:
                    self._acquire(False)
                except BaseException:
                    self._release()
                    raise
                return self
        acquire = self._acquire
        try:
            if not acquire(False):
                self._wait(self.timeout, asked=False)
            if held[-1] is not self:
                keep(held, self)
            frame = _getframe(1)
            self.code = frame.f_code
            self.offset = frame.f_lasti
            self.acquired += 1
        except BaseException:
            try:
                self._release()  # the first call in here: see the invariant above
            except RuntimeError:
                pass  # it had not been taken
            raise
        return self

    def enter_at(self: L, frame: FrameType) -> L:
        """As ``__enter__``, for a place that is given."""
        self.take(frame, timeout=self.timeout)
        return self

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take it; False only where ``blocking`` is false and it was not free.

        Unlike the standard library's locks, it raises LockTimeoutError when ``timeout`` seconds have passed; and, as
        every way of taking it, LockOrderError, DeadlockError and LockClosedError. ``timeout`` None or negative: that of
        the lock.
        """
        return self.acquire_at(_getframe(1), blocking, timeout)

    def acquire_at(self, frame: FrameType, blocking: bool, timeout: float | None) -> bool:
        """As ``acquire``, for a place that is given."""
        seconds, asked = asked_for(None if timeout is not None and timeout < 0 else timeout, self.timeout)
        return self.take(frame, blocking=blocking, timeout=seconds, asked=asked)

    def within(self, seconds: float) -> Within:
        """``with lock.within(0.5):`` takes it as ``with lock:``, and raises LockTimeoutError after so many seconds."""
        return Within(self, *asked_for(seconds, None))

    def take(
        self,
        frame: FrameType | None = None,
        *,
        blocking: bool = True,
        timeout: float | None = None,
        asked: bool = False,
        together: bool = False,
    ) -> bool:
        """What every way of taking it comes to, but for the quick one. ``frame`` is where it is asked for; None: there
        where this is called."""
        if frame is None:
            frame = _getframe(1)
        held = here.held
        if not admit(self, held, frame, together=together):
            try:  # as in __enter__
                self._acquire(False)
            except BaseException:
                self._release()
                raise
            return True
        try:
            if not self._acquire(False):
                if not blocking:
                    return False
                self._wait(timeout, asked=asked)
            if held[-1] is not self:
                keep(held, self)
            self.code = frame.f_code
            self.offset = frame.f_lasti
            self.acquired += 1
        except BaseException:
            try:
                self._release()
            except RuntimeError:
                pass
            raise
        return True

    def release(self) -> None:
        """Let it go. Raises LockOwnershipError where the calling thread does not hold it."""
        try:
            self._release()
        except RuntimeError:
            if not self._closed:  # then it is free already
                raise self.not_mine("release") from None

    def _wait(self, timeout: float | None, *, asked: bool) -> None:
        wait(self, self.raw, self.figures(), self.is_closed, timeout, asked, self.now)

    def figures(self) -> Waits:
        """What was waited for it; made when somebody does for the first time."""
        if self.waits is None:
            made = Waits()
            with _making:
                if self.waits is None:
                    self.waits = made
        return self.waits

    def is_closed(self) -> bool:
        """As ``closed``."""
        return self._closed

    # -- looking -----------------------------------------------------------------------------------------------------

    def locked(self) -> bool:
        """Whether anybody holds it now."""
        return owner_of(self.raw) != 0

    def holder(self) -> str | None:
        """The name of the thread that holds it now."""
        owner = owner_of(self.raw)
        return thread_name(owner) if owner else None

    def assert_held(self) -> None:
        """Raise LockOwnershipError unless the calling thread holds it (LockClosedError where it was closed)."""
        if not self.owned():
            if self._closed:
                raise LockClosedError(lock=self.name)
            raise self.not_mine("access")

    def statistics(self) -> LockStatistics:
        """Its figures so far. Hold times are not measured here: see ``SampledLock``."""
        waits = self.waits or _NO_WAITS
        holder = self.holder()
        return LockStatistics(
            name=self.name,
            rank=None if self.rank is None else self.rank.index,
            acquired=self.acquired,
            contended=waits.contended,
            waited=waits.waited,
            longest_wait=waits.longest,
            timeouts=waits.timeouts,
            held_sampled=None,
            samples=0,
            holder=holder,
            waiting=waits.now,
            taken_at=None if holder is None else self.where(),
        )

    # -- ending ------------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def close(self) -> None:
        """Let nobody take it any more: it is free for good; whoever waits for it, or asks for it, gets LockClosedError.

        Waiters wake within a tenth of a second. A thread that is inside goes on, and leaves its ``with`` block as ever;
        nobody else can come in.
        """
        self._closed = True
        self.renew()

    def upgrade(self, share: Entry, frame: FrameType) -> LockOrderError:
        """What a thread gets that reads and asks to write."""
        return _refusal(
            self, share, frame, "a thread that reads would wait for itself to write: let the share go first"
        )

    def not_mine(self, action: str) -> LockOwnershipError:
        """What a thread gets that does not hold it."""
        return LockOwnershipError(lock=self.name, action=action, thread=thread_name(get_ident()), holder=self.holder())

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} {self.name!r} cannot be copied or pickled: it belongs to this process")

    def __repr__(self) -> str:
        rank = f" ({self.rank})" if self.rank is not None else ""
        holder = self.holder()
        state = "closed" if self._closed else f"held by {holder}" if holder else "free"
        return f"<{type(self).__name__} {self.name}{rank}: {state}>"


# The slot itself: a subclass may have a method of that name.
_exit_slot: Any = vars(OrderedLock)["__exit__"]


class OrderedRLock(OrderedLock):
    """As OrderedLock, and the thread that holds it may take it again; it is free when it was let go as often."""

    __slots__ = ()


class SampledLock(OrderedLock):
    """As OrderedLock, and every ``every``-th time that it is held is timed.

    For this its ``__exit__`` is Python, so that the promise about exceptions out of nowhere has a gap of one
    instruction here: it is for finding out how long a lock is held, and costs three to four times as much.
    """

    __slots__ = ("_every", "_let_go", "_since", "sampled", "samples")

    def __init__(
        self,
        rank: Rank | None = None,
        *,
        name: str = "",
        timeout: float | None = None,
        every: int = 16,
        now: Callable[[], float] = monotonic,
    ) -> None:
        if every < 1:
            raise ValueError(f"every {every}-th hold cannot be timed")
        self._every = every
        self._since: float | None = None
        self.samples, self.sampled = 0, 0.0
        super().__init__(rank, name=name, timeout=timeout, now=now)
        self._let_go = self._release

    def __enter__(self: L) -> L:
        self.take(_getframe(1), timeout=self.timeout)
        return self

    enter_at = OrderedLock.enter_at

    def take(self, frame: FrameType | None = None, **how: Any) -> bool:
        """As OrderedLock, and the clock is started where this time is one that is measured."""
        taken = super().take(frame or _getframe(1), **how)
        try:
            if taken:
                self._let_go = self._release  # another one than the lock's own where that was renewed meanwhile
            self._since = self.now() if taken and self.acquired % self._every == 0 else None
        except BaseException:
            super().release()
            raise
        return taken

    def __exit__(self, *exc: object) -> None:
        """Let go what was taken, as the raw lock's own method does: in a forked child the lock has a fresh one."""
        try:
            self._measure()
        finally:
            self._let_go()

    def release(self) -> None:
        """Let it go, and the clock is read where this time is one that is measured."""
        try:
            self._measure()
        finally:
            super().release()

    def _measure(self) -> None:
        since = self._since
        if since is not None and self.owned():
            self._since = None
            self.sampled += self.now() - since
            self.samples += 1

    def statistics(self) -> LockStatistics:
        """Its figures so far; ``held_sampled`` is a mean of samples."""
        samples = self.samples
        mean = self.sampled / samples if samples else None
        return replace(super().statistics(), held_sampled=mean, samples=samples)


class _Takes(Protocol):
    def take(self, frame: FrameType | None = None, *, timeout: float | None, asked: bool) -> bool: ...

    def __exit__(self, *exc: object) -> None: ...


class Within(metaclass=Context):
    """One way to take a lock, once: what ``with lock.within(seconds)`` enters.

    Its ``__enter__`` is ``take`` itself, with its arguments: a method that called it would have a moment after the call
    in which an exception out of nowhere would leave the lock held.
    """

    __slots__ = ("__enter__", "__exit__")

    if TYPE_CHECKING:

        def __enter__(self, frame: FrameType | None = None) -> bool: ...
        def __exit__(self, *exc: object) -> None: ...

    def __init__(self, lock: _Takes, seconds: float | None, asked: bool) -> None:
        object.__setattr__(self, "__enter__", partial(lock.take, timeout=seconds, asked=asked))
        object.__setattr__(self, "__exit__", lock.__exit__)

    def enter_at(self, frame: FrameType) -> bool:
        """As ``__enter__``, for a place that is given."""
        return self.__enter__(frame)


def _refuse(name: str, *_: object) -> NoReturn:
    raise LockClosedError(lock=name)


# -- the order -------------------------------------------------------------------------------------------------------


def admit(entry: Entry, held: list[Entry], frame: FrameType, *, together: bool = False) -> bool:
    """Put ``entry`` in the calling thread's list, or raise LockOrderError; False where it holds it already and may.

    What was let go is dropped from the list first. ``together``: it is one of those that ``acquire_all`` takes.
    """
    held[1:] = [each for each in held[1:] if each.owned()]
    if entry.owned():
        if not isinstance(entry, OrderedRLock):
            raise _refusal(entry, entry, frame, "it is not re-entrant")
        return False
    for each in reversed(held):
        if each.group is entry.group and entry.group is not None:
            _compare(entry, each, frame, together)
            break  # those below it are further out still
    held.append(entry)
    return True


def keep(held: list[Entry], entry: Entry) -> None:
    """Put an entry back that has just been taken: while it was not held yet, a signal handler or a finalizer that took
    a lock in this thread dropped it from the list, as one that was let go."""
    if entry not in held:
        held.append(entry)


def _compare(entry: Entry, innermost: Entry, frame: FrameType, together: bool) -> None:
    rank, other = entry.rank, innermost.rank
    if rank is None or other is None or other.index < rank.index:
        return
    if other.index > rank.index:
        rule = f"{rank.name!r} comes before {other.name!r} in hierarchy {rank.hierarchy!r}"
    elif (rank.same == "ascending" and innermost.serial < entry.serial) or (rank.same == "together" and together):
        return
    elif rank.same == "one":
        rule = f"a thread may hold one lock of rank {rank.name!r} only"
    elif rank.same == "ascending":
        rule = f"locks of rank {rank.name!r} are taken in the order they were made in"
    else:
        rule = f"several locks of rank {rank.name!r} are taken by one acquire_all"
    raise _refusal(entry, innermost, frame, rule)


def _refusal(wanted: Entry, held: Entry, frame: FrameType, rule: str) -> LockOrderError:
    return LockOrderError(
        wanted=wanted.name,
        rank=None if wanted.rank is None else str(wanted.rank),
        site=site_of(frame),
        held=held.name,
        held_rank=None if held.rank is None else str(held.rank),
        held_site=held.where() or NOT_KNOWN,
        rule=rule,
    )


# -- what a thread holds ---------------------------------------------------------------------------------------------


def held_locks() -> tuple[str, ...]:
    """The names of the locks that the calling thread holds, outermost first."""
    return tuple(entry.name for entry in here.me.holds())


_making = allocate_lock()  # a leaf, and nothing is called under it


@call_in_children
def _renew() -> None:
    global _making
    _making = allocate_lock()


_NO_WAITS = Waits()

__all__ = ["OrderedLock", "OrderedRLock", "SampledLock", "Within", "admit", "held_locks", "keep"]
