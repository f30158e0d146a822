"""One writer, or any number of readers.

How it works: each reading thread has an RLock of its own, its share. To read is to take that share while holding the
gate for a moment; to write is to take the gate, and then to pass through every share once. So both sides are let go by
one C method, as with OrderedLock, and what is said there of exceptions out of nowhere is true here.

- Who has the gate, and has passed every share since, is alone: a new reader would need the gate.
- Writers are not starved: from when one has the gate, no reader comes in. Readers that are inside may read again.
- A thread that writes may read too; one that reads and asks to write would wait for itself, and is refused.
- What a thread holds for a moment only stands in no list: the gate, of one that begins to read, and another's share,
  of one that passes. The share or the gate that it is about to have does, so in a forked child either renews both
  sides.
"""

from __future__ import annotations

import threading
from _thread import RLock, get_ident
from collections.abc import Callable
from dataclasses import replace
from sys import _getframe
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakSet

from coresys.clock import monotonic
from coresys.errors.hierarchy import LockClosedError
from coresys.forks import call_in_children
from coresys.system_records import LockStatistics
from coresys.threads.contexts import Context
from coresys.threads.held import Entry, here
from coresys.threads.locks import OrderedLock, Within, admit, keep
from coresys.threads.ranks import Rank
from coresys.threads.sites import owner_of
from coresys.threads.waits import asked_for, wait


class Share(Entry, metaclass=Context):
    """The calling thread's side of a lock that it reads. Belongs to one thread, and ends with it."""

    __slots__ = ("__exit__", "_gate", "_ident")

    if TYPE_CHECKING:

        def __exit__(self, *exc: object) -> None: ...

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.name, gate.rank, gate.serial)
        self._gate, self._ident = gate, get_ident()
        self.renew()

    def renew(self) -> None:
        """Put a fresh raw lock in the place of the present one."""
        raw: Any = RLock()
        self.raw, self.owned = raw, raw._is_owned
        object.__setattr__(self, "__exit__", raw.__exit__)

    def renew_in_child(self) -> None:
        """Renew the gate and every share: see above."""
        self._gate.renew_in_child()

    def take(
        self,
        frame: FrameType | None = None,
        *,
        blocking: bool = True,
        timeout: float | None = None,
        asked: bool = False,
    ) -> bool:
        """Begin to read; False only where ``blocking`` is false and somebody writes."""
        if get_ident() != self._ident:
            raise self._gate.not_mine("reading by a share of another thread's")
        if self.owned() or self._gate.owned():  # it reads already, or writes
            if not self.owned():
                here.held.append(self)
            # Nobody else can have it now, so that this never fails: what is raised here came after it was counted up.
            try:
                self.raw.acquire(False)
            except BaseException:
                self.raw.release()
                raise
            return True
        if frame is None:
            frame = _getframe(1)
        held = here.held
        admit(self, held, frame)
        gate, raw = self._gate, self._gate.raw
        try:
            if gate.closed:
                raise LockClosedError(lock=gate.name)
            if not raw.acquire(False):
                if not blocking:
                    return False
                wait(gate, raw, gate.figures(), gate.is_closed, timeout, asked, gate.now)
            self.raw.acquire(False)  # free: others take it only while they have the gate
            if held[-1] is not self:
                keep(held, self)
            self.code = frame.f_code
            self.offset = frame.f_lasti
            gate.reads += 1
            raw.release()
        except BaseException:
            try:
                self.raw.release()
            except RuntimeError:
                pass  # it had not been taken
            finally:
                try:
                    raw.release()
                except RuntimeError:
                    pass
            raise
        return True

    def release(self) -> None:
        """Read no more."""
        try:
            self.raw.release()
        except RuntimeError:
            raise self._gate.not_mine("release of a share") from None


class Gate(OrderedLock):
    """The writers' side. To have taken it is to have passed through every share since."""

    __slots__ = ("_mine", "_shares", "reads")

    def __init__(
        self, rank: Rank | None, *, name: str, timeout: float | None, now: Callable[[], float] = monotonic
    ) -> None:
        super().__init__(rank, name=name, timeout=timeout, now=now)
        self.reads = 0  # written by whoever has the gate
        self._mine = threading.local()
        self._shares: WeakSet[Share] = WeakSet()

    def share(self) -> Share:
        """The calling thread's share."""
        try:
            mine: Share = self._mine.share
        except AttributeError:
            mine = Share(self)
            with _making:
                self._shares.add(mine)
            self._mine.share = mine
        return mine

    def shares(self) -> list[Share]:
        """The shares of all threads. One that is made after this begins outside, and will need the gate."""
        with _making:
            return list(self._shares)

    def renew_in_child(self) -> None:
        """Renew the gate and every share: see above."""
        self.renew()
        # No lock, for whoever had it is not here; and a set of its own, for somebody may have been iterating over that.
        shares = list(self._shares)
        self._shares = WeakSet(shares)
        for share in shares:
            share.renew()

    def take(self, frame: FrameType | None = None, **how: Any) -> bool:
        """As every lock, and then wait until nobody reads."""
        if frame is None:
            frame = _getframe(1)
        own = self.share()
        if own.owned() and not self.owned():
            raise self.upgrade(own, frame)
        if self.owned():
            admit(self, here.held, frame)  # which refuses; what is let go below has to be what was taken below
        timeout: float | None = how.get("timeout")
        started = 0.0 if timeout is None else self.now()
        passing: Any = None
        try:
            if not super().take(frame, **how):
                return False
            for share in self.shares():
                if share is own:
                    continue
                passing = share.raw
                if not passing.acquire(False):
                    if not how.get("blocking", True):
                        self._release()
                        return False
                    left = None if timeout is None else max(0.0, started + timeout - self.now())
                    wait(share, passing, self.figures(), self.is_closed, left, bool(how.get("asked")), self.now)
                passing.release()
        except BaseException:
            try:
                if passing is not None:
                    passing.release()
            except RuntimeError:
                pass  # it had not been taken, or was let go
            finally:
                try:
                    self._release()
                except RuntimeError:
                    pass
            raise
        return True


class ReadWriteLock:
    """A lock that any number of threads may hold for reading, or one for writing.

    ``with lock.reading():`` and ``with lock.writing():``, each perhaps with a timeout in seconds. Order, errors,
    closing, copies and forks: as OrderedLock. A reader may read again, and a writer may read. A writer that asks to
    write again, and a reader that asks to write, get LockOrderError.
    """

    __slots__ = ("__weakref__", "_gate")

    def __init__(
        self,
        rank: Rank | None = None,
        *,
        name: str = "",
        timeout: float | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._gate = Gate(rank, name=name, timeout=timeout, now=now)

    @property
    def name(self) -> str:
        """What it is called in errors and figures."""
        return self._gate.name

    @property
    def rank(self) -> Rank | None:
        """Its rank; both sides have it."""
        return self._gate.rank

    def reading(self, timeout: float | None = None) -> Within:
        """A context in which nobody writes. Of the calling thread: do not hand it on."""
        return self._within(self._gate.share(), timeout)

    def writing(self, timeout: float | None = None) -> Within:
        """A context in which nobody else reads or writes."""
        return self._within(self._gate, timeout)

    def _within(self, side: Share | Gate, timeout: float | None) -> Within:
        if timeout is None:
            return Within(side, self._gate.timeout, False)
        return Within(side, *asked_for(timeout, None))

    @property
    def readers(self) -> int:
        """How many threads read now."""
        return sum(owner_of(share.raw) != 0 for share in self._gate.shares())

    def assert_reading(self) -> None:
        """Raise LockOwnershipError unless the calling thread reads or writes."""
        if not self._gate.share().owned():
            self._gate.assert_held()

    assert_held = assert_reading  # what ``Guarded`` asks of a lock; it asks for more where a value is set

    def assert_writing(self) -> None:
        """Raise LockOwnershipError unless the calling thread writes."""
        self._gate.assert_held()

    def statistics(self) -> LockStatistics:
        """Figures of both sides together."""
        figures = self._gate.statistics()
        return replace(figures, acquired=figures.acquired + self._gate.reads)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._gate.closed

    def close(self) -> None:
        """As OrderedLock."""
        self._gate.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"ReadWriteLock {self.name!r} cannot be copied or pickled: it belongs to this process")

    def __repr__(self) -> str:
        rank = f" ({self.rank})" if self.rank is not None else ""
        writer = self._gate.holder()
        state = "closed" if self.closed else f"written by {writer}" if writer else f"{self.readers} reading"
        return f"<ReadWriteLock {self.name}{rank}: {state}>"


_making = RLock()  # a leaf; re-entrant for finalizers


@call_in_children
def _renew() -> None:
    global _making
    _making = RLock()


__all__ = ["Gate", "ReadWriteLock", "Share"]
