"""Who is changing which components now: one change at a time of each, whatever the number of threads.

A change claims all that it may touch in one step, before it begins: to *change* it, alone, or to *lean on* it, with
others (what is running and is needed: it may not be stopped meanwhile). It waits until that is free, and while it waits
it holds nothing. So no circle comes of changes that were asked for from outside.

One that is asked for from inside of a start() or stop(), in the same thread, does hold what the outer one has claimed:

- It may go on with what the outer one has, where both start something. All else is refused: to stop what the outer
  one is about to start, or what is in the midst of its own start, has no meaning.
- It may wait for another thread that waits for this one. Such a circle has only changes of this kind in it, and is
  closed by the last of them to begin its wait: that one is refused.

Waiting goes by the order of arrival where it matters: who finds its claim free, but was not the first who could have
had it, waits for that one to wake. A change that wants many components at once holds up nobody while it cannot have
them all. If it did, a start() that waits for another thread's change could hang on a third party's wait.

The lock is a leaf: nothing of a user's is called under it, and nothing waits. It is re-entrant, for a finalizer or a
signal's handler may come in while its own thread is inside: that may look, but changes nothing.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock, get_ident
from collections.abc import Callable, Iterator
from threading import RLock
from typing import Any

from coresys.clock import monotonic
from coresys.errors.hierarchy import ComponentBusyError
from coresys.threads.sites import owner_of

START, STOP, RESTART = "start", "stop", "restart"


class Claim:
    """What one change, of one thread, is going to touch. ``subject`` is what was asked for, in words of an error."""

    __slots__ = ("action", "asking", "gate", "in_vain", "leans", "outer", "subject", "thread", "touches")

    def __init__(self, action: str, subject: str) -> None:
        self.action, self.subject = action, subject
        self.thread = get_ident()
        self.touches: frozenset[str] = frozenset()
        self.leans: frozenset[str] = frozenset()
        self.outer: Claim | None = None  # the one whose callback this is asked for in
        self.asking = False  # hooks are being asked
        self.in_vain: Exception | None = None  # why it cannot be done, as far as is known now
        self.gate: Any = None  # a raw lock that is let go when it may be free

    def meets(self, other: Claim) -> frozenset[str]:
        """The components that the two cannot have at one time."""
        return (self.touches & (other.touches | other.leans)) | (self.leans & other.touches)


class Claims:
    """The claims of one manager. ``in_flux`` says whether a component is starting or stopping at this moment."""

    def __init__(self, in_flux: Callable[[str], bool], timeout: float | None = None) -> None:
        self.lock = RLock()
        self._in_flux, self._timeout = in_flux, timeout
        self._holding: dict[Claim, None] = {}
        self._waiting: dict[Claim, None] = {}  # in the order they came

    def take(self, claim: Claim, plan: Callable[[], None]) -> None:
        """Wait until a claim can be had, and have it. ``leave`` has to be called whatever comes of this.

        ``plan`` says, under the lock, what the claim is about, as things stand; after each wait once more. Raises what
        it raises, ``claim.in_vain``, and ComponentBusyError.
        """
        self.refuse_within(claim.action, claim.subject)
        until = None if self._timeout is None else monotonic() + self._timeout
        while True:
            with self.lock:
                claim.outer = self._innermost(claim)
                plan()
                blockers = self._blockers(claim)
                if not blockers:
                    if claim.in_vain is not None:
                        raise claim.in_vain
                    self._holding[claim] = None
                    self._waiting.pop(claim, None)
                    return
                if self._is_circle(claim):
                    raise self._busy(claim, f"{blockers[0].action} of {blockers[0].subject!r} waits for this thread")
                claim.gate = gate = allocate_lock()
                gate.acquire()
                self._waiting[claim] = None
            left = TIMEOUT_MAX if until is None else max(0.0, min(until - monotonic(), TIMEOUT_MAX))
            if not gate.acquire(timeout=left):
                other = blockers[0]
                raise self._busy(claim, f"{other.action} of {other.subject!r} was at work for {self._timeout} s")

    def refuse_within(self, action: str, subject: str) -> None:
        """Raise ComponentBusyError in a thread that is under the lock: what is asked for would call out from there."""
        if owner_of(self.lock) == get_ident():
            problem = "it is asked for by a finalizer or a signal's handler in the midst of another change"
            raise ComponentBusyError(component=subject, action=action, problem=problem)

    def leave(self, claim: Claim) -> None:
        """Give a claim back, or wait for it no longer; twice does no harm.

        What was claimed from inside another change stays claimed until that is over: it may have to take it back.
        """
        with self.lock:
            outer = claim.outer
            if claim in self._holding and outer is not None and outer in self._holding:
                outer.touches |= claim.touches
                outer.leans |= claim.leans
            self._holding.pop(claim, None)
            self._waiting.pop(claim, None)
            for each in self._waiting:
                gate, each.gate = each.gate, None
                if gate is not None:
                    gate.release()

    def after_fork(self) -> None:
        """In a forked child only this thread's changes go on."""
        self.lock = RLock()
        me = get_ident()
        for claims in (self._holding, self._waiting):
            for claim in [each for each in claims if each.thread != me]:
                del claims[claim]

    def touched(self) -> frozenset[str]:
        """All that is claimed now to be changed."""
        return frozenset().union(*(each.touches for each in self._holding))

    def __len__(self) -> int:
        return len(self._holding)

    def _innermost(self, claim: Claim) -> Claim | None:
        mine = [each for each in self._holding if each.thread == claim.thread]
        return mine[-1] if mine else None

    def _blockers(self, claim: Claim) -> list[Claim]:
        """Those to wait for. Raises where this thread would have to wait for itself."""
        for mine in self._holding:
            if mine.thread == claim.thread:
                self._refuse_inside(claim, mine)
        found = list(self._in_the_way(claim))
        if claim.outer is None:
            found += [
                first
                for first in self._before(claim)
                if claim.meets(first) and first.thread != claim.thread and not any(self._in_the_way(first))
            ]
        return found

    def _in_the_way(self, claim: Claim) -> Iterator[Claim]:
        return (each for each in self._holding if each.thread != claim.thread and claim.meets(each))

    def _before(self, claim: Claim) -> Iterator[Claim]:
        for each in self._waiting:
            if each is claim:
                return
            yield each

    def _refuse_inside(self, claim: Claim, outer: Claim) -> None:
        met = claim.meets(outer)
        if not met:
            return
        name = min(met)
        if outer.asking:
            raise self._busy(claim, f"it is asked for by a hook, about {outer.action} of {outer.subject!r}", name)
        if not claim.action == outer.action == START:
            raise self._busy(claim, f"it is asked for from inside of {outer.action} of {outer.subject!r}", name)
        for each in sorted(met):
            if self._in_flux(each):
                raise self._busy(claim, f"it is asked for from inside of the start of {each!r}", each)

    def _is_circle(self, claim: Claim) -> bool:
        """Whether some thread that has to be waited for waits, through whatever others, for this one."""
        if claim.outer is None:
            return False  # it holds nothing
        seen: set[int] = set()
        ahead = [each.thread for each in self._in_the_way(claim)]
        while ahead:
            thread = ahead.pop()
            if thread == claim.thread:
                return True
            if thread in seen:
                continue
            seen.add(thread)
            for waiting in self._waiting:
                if waiting.thread == thread:
                    ahead += [each.thread for each in self._in_the_way(waiting)]
        return False

    def _busy(self, claim: Claim, problem: str, name: str | None = None) -> ComponentBusyError:
        return ComponentBusyError(component=name or claim.subject, action=claim.action, problem=problem)


__all__ = ["RESTART", "START", "STOP", "Claim", "Claims"]
