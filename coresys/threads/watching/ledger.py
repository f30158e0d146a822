"""What waiting for locks costs while a ledger is open: of a test, or of some seconds of a service.

It is told of each wait that begins, lasts, or is over (``waits``), and of threads that are seen first, or end
(``chains``). Nothing is done for a lock that is free.

Invariants:

- *The account of a lock is written by whoever holds it*: a wait is told to be over when the lock has been taken.
- *The account of a thread is written by that thread.*
- Nothing here takes a lock, logs, or calls code of others; what is kept are code objects and numbers.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from coresys.clock import monotonic
from coresys.frames import current_frames
from coresys.threads.watching import busy as processors
from coresys.threads.watching import chains, makers, waits
from coresys.threads.watching.busy import Busy, Sample, own_time, processor_time, worked_by
from coresys.threads.watching.chains import Ident, Party, Place
from coresys.threads.watching.contention import (
    LEAST_LOST,
    Contention,
    Life,
    Waits,
    active_of,
    blocked_of,
    idle_of,
)
from coresys.threads.watching.places import node_of, place_of
from coresys.threads.watching.waits import Wait

_AT_WORK = 0.8  # of the time the processors had something to do for us: then it is not read who stood in line
_SHARE = 20
_EACH = 0.005  # seconds, from one wait that is measured from its beginning to the next
_WATCHING = __name__.rpartition(".")[0] + "."
_DEEPEST = 12  # frames of a holder's stack
_STACKS = 0.02  # seconds between two looks at where the holders of one lock stand
_WORKED = 0.005  # seconds of its own, after which a thread that is seen first is not taken for new
MOST_ENDED = 10_000  # threads


class _Note:
    """Of one wait: when the processors were read, and who held the lock."""

    __slots__ = ("at", "first", "holder", "holding", "sampled", "self", "stack", "worked")

    def __init__(self) -> None:
        self.at = monotonic()
        self.worked = processor_time()
        self.first: Sample | None = None
        self.sampled = False  # whether it was measured from its beginning
        self.self = False  # its own holder waits for it: a signal
        self.holder: Place | None = None
        self.holding = ""
        self.stack: tuple[Place, ...] = ()


class _Account:
    """Of one lock."""

    __slots__ = ("busy", "count", "holders", "lasted", "longest", "sampled", "samples", "soon", "waited", "worst")

    def __init__(self) -> None:
        self.count = self.samples = 0
        self.waited = self.longest = self.lasted = self.soon = self.sampled = self.busy = 0.0
        self.worst: tuple[Place, str, _Note] | None = None
        self.holders: dict[Place, float] = {}

    def add(self, wait: Wait, note: _Note, waited: float, last: Sample | None) -> float:
        """Of a wait that is over. Returns what was left of it."""
        self.count += 1
        self.waited += waited
        idle, soon = 0.0, waited < 2 * waits.SOON
        measured = 0.0 if last is None or note.first is None else note.first.until(last)
        if not processors.discounts:
            idle = waited
            self.lasted += idle
        elif soon:
            self.soon += waited
            if last is not None and note.first is not None and measured > 0:
                self.samples += 1
                self.sampled += measured
                self.busy += last.busy - note.first.busy
        elif last is not None and note.first is not None:
            idle = idle_of(waited, measured, last.busy - note.first.busy)
            self.lasted += idle
        if note.holder is not None:
            self.holders[note.holder] = self.holders.get(note.holder, 0.0) + idle
        if idle > self.longest or self.worst is None:
            self.longest = max(idle, self.longest)
            self.worst = makers.outside(wait.frame), wait.party.name, note
        return idle

    def waits(self) -> Waits:
        return Waits(
            self.count, self.waited, self.longest, self.lasted, self.soon, self.samples, self.sampled, self.busy
        )


class _Tally:
    """Of one thread: seconds that it waited for locks, and that it was parked."""

    __slots__ = ("parked", "waited")

    def __init__(self) -> None:
        self.parked = self.waited = 0.0


@dataclass(frozen=True, slots=True)
class _End:
    """Where a thread stood at some time: the clock, and the processor time of the process, its own, and in line."""

    at: float
    process: float
    worked: float | None
    queued: float


class Ledger:
    """Open from ``open`` to ``close``."""

    def __init__(self) -> None:
        self.accounts: dict[Ident, _Account] = {}
        self.tallies: dict[int, _Tally] = {}
        self.ended: deque[tuple[Party, _End]] = deque(maxlen=MOST_ENDED)
        self.left = 0  # how many threads have ended
        self.looked: dict[Ident, float] = {}  # when it was looked last where the holder of a lock stands
        self.queued: dict[int, float] | None = None  # of each thread, when it was first asked for
        self.began, self.process = monotonic(), processor_time()
        self.worked = {party.number: worked_by(party.native) for party in chains.parties()}

    def parked(self, party: Party, seconds: float) -> None:
        self._tally(party).parked += seconds

    def waited(self, party: Party, seconds: float) -> None:
        self._tally(party).waited += seconds

    def _tally(self, party: Party) -> _Tally:
        tally = self.tallies.get(party.number)
        if tally is None:
            tally = self.tallies[party.number] = _Tally()
        return tally

    def account(self, ident: Ident) -> _Account:
        found = self.accounts.get(ident)
        if found is None:
            found = self.accounts[ident] = _Account()
        return found

    def read(self, *, so_far: bool = False) -> list[Contention]:
        """What each lock cost that threads lost enough by, or waited for so long at once; signals are none.

        ``so_far``: what was waited up to now counts too, of waits that go on.
        """
        accounts = self._with_those_that_go_on() if so_far else self.accounts
        candidates = {
            ident: (account, account.waits())
            for ident, account in list(accounts.items())
            if not ident.handed and (blocked_of(account.waits()) >= LEAST_LOST or account.longest > 0)
        }
        if not candidates:
            return []
        _busy.read(fresh=True)
        users: dict[Ident, list[float]] = {ident: [] for ident in candidates}
        lives = [(party, self._now(party)) for party in chains.parties()] + list(self.ended)
        for party, end in lives:
            active = active_of(self._life(party, end, len(lives)))
            for ident in chains.taken(party) & users.keys():
                users[ident].append(active)
        return [self._contention(ident, account, seen, users[ident]) for ident, (account, seen) in candidates.items()]

    def _with_those_that_go_on(self) -> dict[Ident, _Account]:
        """The accounts, with waits that are not over: in copies, for an account is written by who has the lock."""
        found = dict(self.accounts)
        now, last = monotonic(), _busy.read(fresh=True)
        for party in chains.parties():
            wait = party.waiting
            note = None if wait is None else wait.note
            if not isinstance(note, _Note) or note.self:
                continue
            known = found.get(wait.target)
            account = _Account() if known is None else copy(known)
            account.holders = dict(account.holders)
            account.add(wait, note, now - max(wait.since, self.began), last if note.first is not None else None)
            found[wait.target] = account
        return found

    @property
    def complete(self) -> bool:
        """Whether all threads are known that have ended."""
        return self.left <= MOST_ENDED

    def _now(self, party: Party) -> _End:
        queued = _busy.queued().get(party.native, 0.0)
        return _End(monotonic(), processor_time(), worked_by(party.native), queued)

    def _life(self, party: Party, end: _End, among: int) -> Life:
        tally = self.tallies.get(party.number) or _Tally()
        born, process = party.born or (self.began, self.process)
        worked = self.worked.get(party.number, 0.0)
        if party.number in self.worked:  # it was there before: what it stood in line for until it was asked is lost
            queued = (self.queued or {}).get(party.native, end.queued)
        else:
            queued = 0.0
        return Life(
            lived=end.at - max(born, self.began),
            parked=tally.parked,
            waited=tally.waited,
            queued=max(0.0, end.queued - queued),
            worked=None if end.worked is None or worked is None else max(0.0, end.worked - worked),
            process=end.process - max(process, self.process),
            among=among,
        )

    def _contention(self, ident: Ident, account: _Account, seen: Waits, users: list[float]) -> Contention:
        node = node_of(ident)
        waiter, waiting, note = account.worst or (None, "", None)
        holder = None if note is None else note.holder
        return Contention(
            number=ident.serial,
            kind=ident.kind,
            name=node.name,
            site=node.site,
            waits=seen.count,
            waited=seen.waited,
            blocked=blocked_of(seen),
            # Who has waited took it, though no tree may tell that yet, or nothing is noted.
            active=max(sum(users), seen.waited),
            longest=seen.longest,
            threads=len(users),
            waiter=None if waiter is None else place_of(waiter),
            waiting=waiting,
            holder=None if holder is None else place_of(holder),
            holding="" if note is None else note.holding,
            stack=() if note is None else tuple(map(place_of, note.stack)),
            holders=tuple(
                (place_of(place), seconds)
                for place, seconds in sorted(account.holders.items(), key=lambda item: -item[1])[:3]
            ),
        )


_busy = Busy()
_open: tuple[Ledger, ...] = ()
_sampled = 0.0  # when a wait was measured from its beginning last


def open_ledger() -> Ledger:
    """Begin one. Several may be open at once."""
    global _open
    ledger = Ledger()
    before, _open = _open, (*_open, ledger)
    if not before:
        waits.begun.append(_begun)
        waits.lasting.append(_lasts)
        waits.looks.append(_looks)
        waits.heard.append(_heard)
        chains.arrived.append(_arrived)
        chains.gone.append(_gone)
    return ledger


def close_ledger(ledger: Ledger) -> None:
    """Nothing is told to it any more."""
    global _open
    if ledger not in _open:
        return
    _open = tuple(each for each in _open if each is not ledger)
    if not _open:
        waits.begun.remove(_begun)
        waits.lasting.remove(_lasts)
        waits.looks.remove(_looks)
        waits.heard.remove(_heard)
        chains.arrived.remove(_arrived)
        chains.gone.remove(_gone)


def _arrived(party: Party) -> None:
    own = own_time()
    if own < _WORKED:  # else it is older than it seems: the ledger's beginning is a bound
        party.born = monotonic() - own, processor_time() - own


def _gone(party: Party) -> None:
    asked = any(ledger.queued is not None for ledger in _open)
    queued = _busy.ending(party.native) if asked else 0.0
    end = _End(monotonic(), processor_time(), own_time(), queued)
    for ledger in _open:
        ledger.left += 1
        ledger.ended.append((party, end))


def _begun(wait: Wait) -> None:
    global _sampled
    if wait.lock is None:
        return
    note = wait.note = _Note()
    if wait.lock._me is wait.party:
        note.self = True
    elif note.at - _sampled > _EACH:
        _sampled = note.at
        note.sampled = True
        first = note.first = _read(fresh=True)
        # Where there are many threads it takes longer: a twentieth of the time all the same.
        _sampled = max(note.at, note.at + _SHARE * (first.end - note.at) - _EACH)


def _lasts(wait: Wait) -> None:
    note = wait.note
    if note is None or note.self:
        return
    _look_at_holder(wait, note)
    _measure(note)


def _looks(wait: Wait) -> None:
    note = wait.note
    if isinstance(note, _Note) and note.first is None and not note.self:
        _measure(note)


def _measure(note: _Note) -> None:
    """Begin to measure a wait, unless the processors had so much to do for us since that there is nothing to see."""
    if note.first is not None:
        return
    now, worked = monotonic(), processor_time()
    if worked - note.worked < _AT_WORK * (now - note.at):
        note.first = _read()
    note.at, note.worked = now, worked


def _read(*, fresh: bool = False) -> Sample:
    sample = _busy.read(fresh=fresh)
    for ledger in _open:
        if ledger.queued is None:
            ledger.queued = _busy.queued()
    return sample


def _look_at_holder(wait: Wait, note: _Note) -> None:
    """Who holds the lock, where it was taken, and now and then where that thread stands."""
    holder, ident, ledgers = wait.lock._me, wait.target, _open
    if holder is None or not ledgers:
        return
    note.holder, note.holding = (ident.code, ident.offset), holder.name
    now, looked = monotonic(), ledgers[0].looked
    if now - looked.get(ident, 0.0) >= _STACKS:
        looked[ident] = now
        note.stack = _stack(current_frames().get(holder.thread))


def _stack(frame: FrameType | None) -> tuple[Place, ...]:
    found: list[tuple[CodeType | None, int]] = []
    while frame is not None and len(found) < _DEEPEST:
        if not str(frame.f_globals.get("__name__")).startswith(_WATCHING):  # it waits for a lock itself
            found.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(found)


def _heard(wait: Wait, taken: bool) -> None:
    now = monotonic()
    note: Any = wait.note
    last = None
    if isinstance(note, _Note) and note.first is not None:
        # The lock is held by now: others wait for as long as it is read.
        last = _busy.read(fresh=note.sampled and now - wait.since < 2 * waits.SOON)
    for ledger in _open:
        waited = now - max(wait.since, ledger.began)
        if wait.lock is None:
            ledger.parked(wait.party, waited)
        elif isinstance(note, _Note):
            ledger.waited(wait.party, waited)
            if taken and not note.self:
                ledger.account(wait.target).add(wait, note, waited, last)


__all__ = ["MOST_ENDED", "Ledger", "close_ledger", "open_ledger"]
