"""Waiting for a watched lock that is not free: the only place where a watched lock reads a clock.

A wait is cut into slices, and looked at between them (``looks``): whoever looks may raise, in the thread that waits.
What a wait was is told when it is over (``heard``). The lists are empty unless somebody watches.

What else is waited for without a timeout (``park``: a thread that is joined, whatever a Condition tells) is cut into
slices and looked at too, but nobody hears of it: it is no contention.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import _base
from types import CodeType, FrameType
from typing import Any

from coresys.clock import monotonic
from coresys.threads.watching.chains import Ident, Party, here
from coresys.threads.watching.raw import allocate_lock

__tracebackhide__ = True  # of a failure, pytest shows what the user wrote
SOON = 0.002  # seconds, after which a wait is told to last, where somebody is told
FIRST = 0.05  # seconds until a wait is looked at first
LONGEST = 0.5  # between two looks: each costs some microseconds, and delays whoever gets the interpreter


class Wait:
    """A thread waits: for ``target``, since ``since``. ``patient``: for ever, if need be.

    ``lock`` is the watched lock, None where it waits for something else: ``thing`` then, where that is known (a thread
    or a future). ``seen`` is what the last look made of it, ``note`` is for whoever measures it.
    """

    __slots__ = ("frame", "lock", "looked", "note", "party", "patient", "seen", "since", "target", "thing")

    def __init__(
        self, party: Party, target: Ident, lock: Any, frame: FrameType | None, *, patient: bool, thing: Any = None
    ) -> None:
        self.party, self.target, self.lock, self.frame = party, target, lock, frame
        self.patient, self.thing = patient, thing
        self.seen: object = None
        self.since = monotonic()
        self.looked = 0  # how often
        self.note: Any = None


looks: list[Callable[[Wait], None]] = []
begun: list[Callable[[Wait], None]] = []
lasting: list[Callable[[Wait], None]] = []  # once, when it was not over soon; nothing may be raised
heard: list[Callable[[Wait, bool], None]] = []  # with whether it got what it waited for


def block(lock: Any) -> None:
    """Wait for a lock, for ever."""
    got: list[bool] = []
    try:
        _wait(lock, sys._getframe(2), None, got)
    except BaseException:
        if True in got:  # 3.10 looks for signals where a function has returned, too
            lock._raw.release()
        raise


def block_telling(lock: Any, got: list[bool]) -> None:
    """As ``block``, for a caller in C: after an exception ``got`` tells whether the lock is taken all the same."""
    _wait(lock, sys._getframe(2), None, got)


def asked(lock: Any, blocking: Any, timeout: Any) -> bool:
    """Try to take a lock, or wait for it with a timeout. Raises what the raw lock raises for such arguments."""
    raw = lock._raw
    known = isinstance(blocking, int) and blocking.bit_length() < 32
    if not known or not blocking or not isinstance(timeout, (int, float)) or not 0 <= timeout <= 1e6:
        if known and blocking and timeout == -1:
            return bool(raw.acquire(False)) or _wait(lock, sys._getframe(2), None, [])
        return bool(raw.acquire(blocking, timeout))
    return bool(raw.acquire(False)) or _wait(lock, sys._getframe(2), float(timeout), [])


def restore(lock: Any, state: Any) -> None:
    """Wait to take a re-entrant lock again, as often as it was held."""
    raw = lock._raw
    if not raw.acquire(False):
        _wait(lock, sys._getframe(2), None, [])
    raw.release()  # nobody saw it taken: what waited meanwhile waits on
    raw._acquire_restore(state)


_WAITING = (True,)


def _wait(lock: Any, frame: FrameType | None, timeout: float | None, got: list[bool]) -> bool:
    """Take ``lock``, or let the time go by. What raises meanwhile, a signal's handler too, leaves it to others.

    A handler may come as soon as a call returns. So what ``acquire`` says goes into ``got`` in the step that asks it:
    without that nobody could tell afterwards who has taken the lock.
    """
    me = here.me
    wait = Wait(me, lock._ident, lock, frame, patient=timeout is None)
    outer = me.waiting
    acquire = lock._raw.acquire
    try:
        me.turn += 1
        me.waiting = wait
        try:
            for begin in begun:
                begin(wait)
            pause, soon = (SOON, True) if lasting else (FIRST, False)
            while True:
                left = pause if timeout is None else wait.since + timeout - monotonic()
                ends = timeout is not None and left <= pause
                got[:] = map(acquire, _WAITING, (max(left, 0.0) if ends else pause,))
                if got[0] or ends:
                    return got[0]
                if soon:
                    pause, soon = FIRST, False
                    for last in lasting:
                        last(wait)
                    continue
                pause = _looked_at(wait, pause)
        finally:
            me.turn += 1
            me.waiting = outer
            for hear in heard:
                hear(wait, True in got)
    except BaseException:
        if True in got:
            got.clear()
            lock._raw.release()
        raise


def _looked_at(wait: Wait, pause: float) -> float:
    """Have a wait looked at that has gone on for one more pause; how long the next one is."""
    wait.looked += 1
    for look in looks:
        look(wait)
    return min(pause * 2, LONGEST)


_PARKED = {kind: Ident(kind, (None, 0), kind) for kind in ("thread", "future", "notice")}


def park(kind: str, thing: Any, frame: FrameType | None, attempt: Callable[[float], bool]) -> None:
    """Wait, for ever, until ``attempt``, which is given seconds to wait for, says that it is over.

    ``kind``: "thread", "future" (whose ``thing`` says which) or "notice", of a Condition.
    """
    me = here.me
    wait = Wait(me, _PARKED[kind], None, frame, patient=True, thing=thing)
    outer = me.waiting
    me.turn += 1
    me.waiting = wait
    try:
        pause = FIRST
        while not attempt(pause):
            pause = _looked_at(wait, pause)
    finally:
        me.turn += 1
        me.waiting = outer


class Waiter:
    """What a Condition waits with, in place of a raw lock: as that, but one that waits for ever does so in slices.

    To let it go is to let the raw lock go, in one step of the interpreter, and whoever waits takes that: no notice is
    lost between two slices.
    """

    __slots__ = ("__weakref__", "_raw", "locked", "release")

    def __init__(self) -> None:
        self._raw = raw = allocate_lock()
        self.release, self.locked = raw.release, raw.locked

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As of a raw lock."""
        raw = self._raw
        if raw.acquire(False):
            return True
        if not blocking or timeout != -1:
            return raw.acquire(blocking, timeout)
        frame = sys._getframe(1)  # of Condition.wait
        outer = frame.f_back
        future = here.me.aim if outer is not None and outer.f_code in FOR_FUTURES else None
        park("notice" if future is None else "future", future, frame, lambda pause: raw.acquire(True, pause))
        return True


FOR_FUTURES: set[CodeType] = {_base.Future.result.__code__, _base.Future.exception.__code__}
_waits_for_notice = threading.Condition.wait.__code__


def make_waiter() -> Any:
    """In place of ``threading._allocate_lock``: which a Condition takes for each wait, and others for other things."""
    return Waiter() if sys._getframe(1).f_code is _waits_for_notice else allocate_lock()


__all__ = [
    "FIRST",
    "FOR_FUTURES",
    "LONGEST",
    "SOON",
    "Wait",
    "Waiter",
    "asked",
    "begun",
    "block",
    "block_telling",
    "heard",
    "lasting",
    "looks",
    "make_waiter",
    "park",
    "restore",
]
