"""Several locks at once, in one fixed order."""

from __future__ import annotations

from _thread import get_ident
from sys import _getframe

from coresys.clock import monotonic
from coresys.threads.locks import OrderedLock
from coresys.threads.sites import count_of
from coresys.threads.waits import asked_for, limit


class Together:
    """What ``acquire_all`` returns: a context that can be entered once."""

    __slots__ = ("_ident", "_locks", "_taken", "_timeout")

    def __init__(self, locks: tuple[OrderedLock, ...], timeout: float | None) -> None:
        self._locks, self._timeout = locks, timeout
        self._taken: list[tuple[OrderedLock, int]] = []  # and how often the thread had taken it before
        self._ident = 0

    def __enter__(self) -> None:
        if self._taken:
            raise RuntimeError("it is entered already")
        self._ident = get_ident()
        frame = _getframe(1)
        seconds, asked = asked_for(self._timeout, None)
        now = self._locks[0].now if self._locks else monotonic
        until = None if seconds is None else now() + seconds
        try:
            for lock in self._locks:
                left = lock.timeout if self._timeout is None else None
                if until is not None:
                    left = max(0.0, until - now())
                # Noted first: to let go a lock that was not taken does no harm, to forget one would.
                self._taken.append((lock, count_of(lock.raw) if lock.owned() else 0))
                lock.take(frame, timeout=left, asked=asked, together=True)
        except BaseException:
            self._let_go()
            raise

    def __exit__(self, *exc: object) -> None:
        self._let_go()

    def __del__(self) -> None:
        # An exception out of nowhere between the block and the first instruction of __exit__: let go what is left,
        # when nothing refers to this any more. One lock's own ``with`` has no such gap.
        if getattr(self, "_taken", None) and self._ident == get_ident():
            self._let_go()

    def _let_go(self) -> None:
        while self._taken:
            lock, before = self._taken[-1]
            if lock.owned() and (not before or count_of(lock.raw) > before):
                lock.release()
            self._taken.pop()


def acquire_all(*locks: OrderedLock, timeout: float | None = None) -> Together:
    """``with acquire_all(a, b, timeout=1):`` takes all of them, or none; in the order of their ranks, and within a rank
    (or without one) in the order they were made in, whatever order they are given in.

    ``timeout`` is in seconds of the first lock's clock, for all together; None: that of each lock. Raises what a lock
    raises, and ValueError for one that is given twice, or a timeout of NaN. Locks of a rank that allows one only are
    refused together too.
    """
    if len({id(lock) for lock in locks}) != len(locks):
        raise ValueError("a lock is given twice")
    limit(timeout)  # it raises here rather than where they are taken
    ordered = sorted(locks, key=lambda lock: (lock.group or "", lock.index, lock.serial))
    return Together(tuple(ordered), timeout)


__all__ = ["Together", "acquire_all"]
