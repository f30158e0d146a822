"""Waiting for a watched lock that is not free: the only place where a watched lock reads a clock.

A wait is cut into slices, and looked at between them (``looks``): whoever looks may raise, in the thread that waits.
What a wait was is told when it is over (``heard``). The lists are empty unless somebody watches.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from coresys.clock import monotonic
from coresys.threads.watching.chains import Ident, Party, here

SOON = 0.002  # seconds, after which a wait is told to last, where somebody is told
FIRST = 0.05  # seconds until a wait is looked at first
LONGEST = 0.5  # between two looks: each costs some microseconds, and delays whoever gets the interpreter


class Wait:
    """A thread waits: for ``target``, since ``since``. ``patient``: for ever, if need be.

    ``lock`` is the watched lock, None where it waits for something else. ``note`` is for whoever measures it.
    """

    __slots__ = ("frame", "lock", "looked", "note", "party", "patient", "since", "target")

    def __init__(self, party: Party, target: Ident, lock: Any, frame: FrameType | None, *, patient: bool) -> None:
        self.party, self.target, self.lock, self.frame = party, target, lock, frame
        self.patient = patient
        self.since = monotonic()
        self.looked = 0  # how often
        self.note: Any = None


looks: list[Callable[[Wait], None]] = []
begun: list[Callable[[Wait], None]] = []
lasting: list[Callable[[Wait], None]] = []  # once, when it was not over soon; nothing may be raised
heard: list[Callable[[Wait, bool], None]] = []  # with whether it got what it waited for


def block(lock: Any) -> None:
    """Wait for a lock, for ever."""
    _wait(lock, sys._getframe(2), None, lock._raw.acquire)


def asked(lock: Any, blocking: Any, timeout: Any) -> bool:
    """Try to take a lock, or wait for it with a timeout. Raises what the raw lock raises for such arguments."""
    raw = lock._raw
    if not blocking or not isinstance(timeout, (int, float)) or timeout < 0 or timeout > 1e6:
        if blocking and timeout == -1:
            if not raw.acquire(False):
                _wait(lock, sys._getframe(2), None, raw.acquire)
            return True
        return bool(raw.acquire(blocking, timeout))
    return bool(raw.acquire(False)) or _wait(lock, sys._getframe(2), float(timeout), raw.acquire)


def restore(lock: Any, state: Any) -> None:
    """Wait to take a re-entrant lock again, as often as it was held."""
    raw = lock._raw
    if not raw.acquire(False):
        _wait(lock, sys._getframe(2), None, raw.acquire)
    raw.release()  # nobody saw it taken: what waited meanwhile waits on
    raw._acquire_restore(state)


def _wait(lock: Any, frame: FrameType | None, timeout: float | None, acquire: Callable[..., bool]) -> bool:
    me = here.me
    wait = Wait(me, lock._ident, lock, frame, patient=timeout is None)
    outer = me.waiting
    taken = False
    me.turn += 1
    me.waiting = wait
    try:
        for begin in begun:
            begin(wait)
        pause, soon = (SOON, True) if lasting else (FIRST, False)
        while True:
            left = None if timeout is None else wait.since + timeout - monotonic()
            if left is not None and left <= pause:
                taken = acquire(True, max(left, 0.0))
                return taken
            taken = acquire(True, pause)
            if taken:
                return True
            if soon:
                pause, soon = FIRST, False
                for last in lasting:
                    last(wait)
                continue
            wait.looked += 1
            for look in looks:
                look(wait)
            pause = min(pause * 2, LONGEST)
    finally:
        me.turn += 1
        me.waiting = outer
        for hear in heard:
            hear(wait, taken)


__all__ = ["FIRST", "LONGEST", "SOON", "Wait", "asked", "begun", "block", "heard", "lasting", "looks", "restore"]
