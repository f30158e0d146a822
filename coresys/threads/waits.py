"""Waiting for a lock that is not free: deadlines, closing, and the wait-for graph.

Nothing in here is touched by an acquisition that finds its lock free. One that waits notes what it waits for, and only
when it has waited for ``PATIENCE`` does it look whether it waits for itself.

Why a circle that is found is one: each thread in it was seen in one and the same wait (``turn``) by two walks, and by
the second one the owner of each lock was seen, after the first walk had seen that owner waiting. A thread that waits
takes and leaves nothing, so all of it held at the moment between the walks. Only one walk is made at a time, and
whoever finds a circle leaves it before the next: one participant is told, not all.
"""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable
from math import inf
from typing import Any

from coresys.clock import monotonic
from coresys.errors.hierarchy import DeadlockError, LockClosedError, LockTimeoutError
from coresys.forks import call_in_children
from coresys.frames import current_frames
from coresys.threads.held import Entry, Holder, here, thread_name
from coresys.threads.sites import NOT_KNOWN, owner_of, standing

PATIENCE = 0.04  # seconds that a wait lasts before it looks for a circle
SLICE = 0.1  # seconds after which a wait looks again; a lock that is closed wakes its waiters within this

# Guards _waiting and the waiting of each holder; a leaf. Re-entrant: a signal handler or a finalizer that comes by in
# the middle may have to wait for a lock itself.
lock = RLock()
_waiting: dict[object, tuple[Holder, Waits]] = {}  # each wait that goes on: whose it is, and what it counts for


def limit(seconds: float | None) -> float | None:
    """How long something may be waited for, as it was given: None where for ever, which infinity is too.

    Raises ValueError for NaN: no time is ever later than that, so such a wait would have no end that anybody meant.
    """
    if seconds is None or seconds == inf:
        return None
    if seconds != seconds:
        raise ValueError("nan is no number of seconds to wait for")
    return seconds


def asked_for(timeout: float | None, otherwise: float | None) -> tuple[float | None, bool]:
    """How long to wait, and whether that ends because somebody asked for it: ``otherwise`` is a lock's own timeout."""
    if timeout is None:
        return otherwise, False
    seconds = limit(timeout)
    return seconds, seconds is not None


class Waits:
    """What was waited for one lock. Written by whoever has just got it, or under ``lock`` (timeouts)."""

    __slots__ = ("contended", "longest", "timeouts", "waited")

    def __init__(self) -> None:
        self.contended, self.timeouts = 0, 0
        self.waited, self.longest = 0.0, 0.0

    @property
    def now(self) -> int:
        """How many wait at this moment."""
        return sum(waits is self for _, waits in tuple(_waiting.values()))


def wait(
    entry: Entry,
    raw: Any,
    waits: Waits,
    closed: Callable[[], bool],
    timeout: float | None,
    asked: bool,
    now: Callable[[], float] = monotonic,
) -> None:
    """Take ``raw`` for ``entry``, waiting for it, for ``timeout`` seconds at most.

    ``now`` is the clock that the seconds are of; by whatever clock, it looks at it again within ``SLICE`` of real ones.
    ``asked``: the timeout is one that the caller gave, so that a circle it is part of may be left to it. Raises
    LockTimeoutError, DeadlockError or LockClosedError, and has not taken it then.
    """
    me = here.me
    started = now()
    taken = False
    this = object()
    outer, patient = me.waiting, me.patient  # this may be a signal handler, in the middle of another wait
    try:
        with lock:
            me.turn += 1
            me.waiting, me.patient = entry, not asked
            _waiting[this] = me, waits
        pause = PATIENCE
        while True:
            left = None if timeout is None else started + timeout - now()
            taken = raw.acquire(True, pause if left is None else max(0.0, min(pause, left)))
            if closed():
                raise LockClosedError(lock=entry.name)
            if taken:
                break
            if left is not None and left <= pause and now() - started >= (timeout or 0.0):
                raise _late(entry, raw, waits, timeout or 0.0, now() - started)
            if me.patient:
                _look(me, entry)
            pause = SLICE
    except BaseException:
        if taken:
            raw.release()
        raise
    finally:
        with lock:
            me.turn += 1
            me.waiting, me.patient = outer, patient
            _waiting.pop(this, None)
    seconds = now() - started
    waits.contended += 1
    waits.waited += seconds
    waits.longest = max(waits.longest, seconds)


def _late(entry: Entry, raw: Any, waits: Waits, timeout: float, waited: float) -> LockTimeoutError:
    with lock:
        waits.timeouts += 1
    owner = owner_of(raw)
    return LockTimeoutError(
        lock=entry.name,
        timeout=timeout,
        waited=waited,
        holder=thread_name(owner) if owner else None,
        holder_site=entry.where() if owner else None,
        holding=tuple(each.name for each in here.me.holds() if each is not entry),
    )


def _look(me: Holder, entry: Entry) -> None:
    """Raise DeadlockError where ``me`` is part of a circle that no timeout will open."""
    with lock:
        found = _circle(me)
        if not found or not all(holder.patient for holder, _, _ in found) or found != _circle(me):
            return
        # Read before it leaves: until then all of them stand where they wait, and hold what they took.
        frames = current_frames()
        sites = tuple(
            (standing(frames.get(holder.ident)) or NOT_KNOWN, wanted.where() or NOT_KNOWN)
            for holder, wanted, _ in found
        )
        del frames  # among them this one, and those of all who have nothing to do with it
        me.waiting = None  # it leaves: whoever looks next finds no circle
    cycle = []
    for at, (holder, wanted, _) in enumerate(found):
        by = found[(at + 1) % len(found)][0]
        cycle.append((thread_name(holder.ident), wanted.name, thread_name(by.ident)))
    raise DeadlockError(lock=entry.name, cycle=tuple(cycle), sites=sites)


def _circle(me: Holder) -> list[tuple[Holder, Entry, int]]:
    """The threads that wait for one another from ``me`` back to it; empty where there is no such circle."""
    waiting = {holder.ident: holder for holder, _ in tuple(_waiting.values()) if holder.waiting is not None}
    path: list[tuple[Holder, Entry, int]] = []
    holder = me
    while holder.waiting is not None and len(path) <= len(waiting):
        path.append((holder, holder.waiting, holder.turn))
        owner = waiting.get(owner_of(holder.waiting.raw))
        if owner is None or owner is holder:  # it runs, or has just got what it waited for
            return []
        if owner is me:
            return path
        holder = owner
    return []  # nobody waits any more, or there is a circle further on: those in it will find it


@call_in_children
def _forget() -> None:
    global lock
    lock = RLock()
    for each, (holder, _) in list(_waiting.items()):
        if holder is not here.me:  # which may be a handler's, in the midst of a wait
            del _waiting[each]


__all__ = ["PATIENCE", "SLICE", "Waits", "asked_for", "limit", "wait"]
