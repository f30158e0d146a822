"""Deadlocks that happen: found by those who wait, and broken in one of them.

Every wait without a timeout that lasts looks whom it waits for (``looks`` of ``waits``), and on from there: the holder
of a lock, the thread that is joined, the worker that does a future's work, or, while nobody does it, all workers of its
pool. What a Condition tells can come from anybody. If all who could end a wait wait themselves, for ever and for one
another, nobody ever will: that is a circle.

Why a circle that is found is one: it is found twice, by two looks of the same wait, with each of the others in one and
the same wait (``turn``) both times. Who waits takes and leaves nothing, so at the moment between all of it held. It is
broken in one thread only, and all of them come to the same one: the last to begin.

Where anybody could end a wait, everybody has to wait: all threads of Python, for ``QUIET`` seconds, in waits that are
known here, but for idle workers of pools, and for older threads of what runs the tests. No signal may have a
handler of Python's, no thread may stand in a call that is not known (a socket, a sleep, a lock of somebody's own), and
threads that are none of Python's have to wait for others of the process. That is raised in the main thread, if it
waits, or else in the last.

What is less certain is said once, on the terminal, and left alone: a thread that waits for a lock which it holds itself
may be waiting for another to let it go. Circles with a timeout in them, too, open by themselves.

Nothing here takes a watched lock, logs, or calls code of others.
"""

from __future__ import annotations

import concurrent.futures.thread as pools
import dis
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import _base
from dataclasses import dataclass
from types import FrameType
from typing import Any

from coresys.budgets.wording import numbered
from coresys.clock import monotonic
from coresys.errors.hierarchy import DeadlockError
from coresys.frames import current_frames
from coresys.records import Location
from coresys.threads.watching import chains, makers, waits
from coresys.threads.watching.chains import Ident, Party, parties
from coresys.threads.watching.places import node_of, place_of
from coresys.threads.watching.raw import RLockType, replaced
from coresys.threads.watching.tokens import PARTY, POOL, RUN
from coresys.threads.watching.waits import Wait

__tracebackhide__ = True  # of a failure, pytest shows what the user wrote
QUIET = 4.0  # seconds in which nobody has done anything, where anybody could
AGAIN = 1.0  # the same, of those who wait for a thread that was told of a deadlock
DEEPEST = 40  # frames of a stack
MOST = 20  # threads of a report

Replace = Callable[[Any, str, Any], None]
_Members = dict[Party, Wait]


@dataclass(frozen=True, slots=True)
class Stuck:
    """One thread (or task: ``thread`` is its name) of a deadlock: what it waits for, who has that, where both stand."""

    thread: str
    wanted: str
    holder: str
    at: Location
    taken_at: Location | None
    held: tuple[str, ...]
    stack: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """A deadlock that was broken: ``thread`` got the DeadlockError; empty where it was spared (``spare``).

    ``quiet``: nobody was left to end the waits.
    """

    thread: str
    quiet: bool
    threads: tuple[Stuck, ...]


broken: deque[Broken] = deque(maxlen=100)
noted: list[Callable[[], None]] = []  # called when there is one more; they take no lock and raise nothing
suspected: deque[str] = deque(maxlen=100)
_count = 0
_told: tuple[float, int] = (-QUIET, -1)  # when, and on which leaf, a thread other than the main one was told
_terminal = -1  # a descriptor of the terminal, older than any capturing
_sparing = 0
_silent = False  # whether threads that die of a report do so without a word: somebody else tells of it


def install(replace: Replace) -> None:
    """Look at waits, and see that what is raised in a thread is told once."""
    global _terminal, _older
    _older = frozenset(current_frames())
    if look not in waits.looks:
        waits.looks.append(look)
    replace(threading, "_make_invoke_excepthook", _quiet_hook(threading._make_invoke_excepthook))  # type: ignore[attr-defined]
    try:
        _terminal = os.dup(2)
    except OSError:
        _terminal = -1


def uninstall() -> None:
    """Let it be. Waits that go on are looked at to their end, or the process would not have one."""
    global _terminal
    keep_silent(False)
    if _terminal >= 0:
        os.close(_terminal)
        _terminal = -1


def note(found: Broken) -> None:
    """Keep one for whoever asks by ``since``."""
    global _count
    broken.append(found)
    _count += 1
    for tell in noted:
        tell()


def count() -> int:
    """How many deadlocks were broken since the process began."""
    return _count


def since(number: int) -> list[Broken]:
    """Those that came after the first ``number``; of very many the last ones."""
    found = list(broken)
    return found[max(0, len(found) - (_count - number)) :] if _count > number else []


def keep_silent(silent: bool) -> None:
    """Whether a thread that dies of a DeadlockError of ours dies without a word, because somebody tells of it."""
    global _silent
    _silent = silent


def spare(more: int) -> None:
    """So many more, or fewer, want deadlocks to be noted, and nothing raised. A test run breaks them all the same."""
    global _sparing
    _sparing += more


def spared() -> bool:
    """Whether a deadlock is noted, and left as it is."""
    return _sparing > 0 and not _silent


def look(wait: Wait) -> None:
    """Raise DeadlockError if ``wait`` is one that nothing will ever end, and it is the one to break."""
    if not wait.patient or wait.seen is TOLD or replaced():
        return
    found = _deadlock(wait, looks=True)
    if found is None:
        if wait.seen is not SUSPECTED:  # by itself, or by the thread of a loop
            wait.seen = None
            suspect(wait)
        return
    members, quiet = found
    seen = quiet, frozenset((party.number, party.turn) for party in members)
    if wait.seen != seen:
        wait.seen = seen
        return
    began = max(each.since for each in members.values())
    if monotonic() - began < _patience(members, quiet) or not _all_stand(members):
        return
    if _chosen(members, quiet) is wait.party:
        _raise(wait, members, quiet)


def _patience(members: _Members, quiet: bool) -> float:
    """Seconds to wait first. A future that nobody works on may still be cancelled by somebody who sleeps, and a lock
    that is a signal let go by one.
    """
    if quiet:
        # Others may wait for a thread that was told of one; not those of the next test.
        told_at, leaf = _told
        return AGAIN if leaf == chains.current.leaf and monotonic() - told_at < QUIET else QUIET
    uncertain = any(_is_pending(each) or _may_be_a_signal(each) for each in members.values())
    return QUIET if uncertain else 0.0


_ENTERS = frozenset({"BEFORE_WITH", "SETUP_WITH"})


def _may_be_a_signal(wait: Wait) -> bool:
    """Whether another thread than its holder may let a lock go, as far as is known: not one that a ``with`` took."""
    lock = wait.lock
    if lock is None or lock._ident.inner or isinstance(lock, RLockType):
        return False
    code, offset = lock._ident.code, lock._ident.offset
    return code is None or dis.opname[code.co_code[offset]] not in _ENTERS


def _is_pending(wait: Wait) -> bool:
    return wait.target.kind == "future" and getattr(wait.thing, "_state", None) == _base.PENDING


def _chosen(members: _Members, quiet: bool) -> Party:
    """Who is told: the one that closed it."""
    if quiet:
        main = threading._main_thread._ident  # type: ignore[attr-defined]
        for party in members:
            if party.thread == main:
                return party
    return max(members, key=lambda party: (members[party].since, party.number))


# Whom does it wait for?

_Wakers = tuple[Party, ...]
SUSPECTED: Any = "suspected"
TOLD: Any = "told"
ANYBODY: Any = object()
SOMEBODY: Any = object()  # who runs, or is not known


def _wakers(wait: Wait) -> _Wakers:
    """All who could end a wait; ANYBODY, or SOMEBODY who is about to."""
    lock = wait.lock
    if lock is not None:
        owner = lock._me
        if owner is None:
            return SOMEBODY  # type: ignore[no-any-return]
        return ANYBODY if lock._ident.handed or owner is wait.party else (owner,)
    if wait.target.kind == "thread":
        party = wait.thing.__dict__.get(PARTY)
        # One that has ended waits for nothing, which is told below.
        return SOMEBODY if party is None else (party,)
    if wait.target.kind == "future":
        return _workers_of(wait.thing)
    return ANYBODY  # type: ignore[no-any-return]


def _workers_of(future: Any) -> _Wakers:
    state = future._state
    if state == _base.RUNNING:
        run = future.__dict__.get(RUN)
        return ANYBODY if run is None else (run.party,)
    pool = future.__dict__.get(POOL, lambda: None)()
    if state != _base.PENDING or pool is None:
        return ANYBODY if state == _base.PENDING else SOMEBODY  # type: ignore[no-any-return]
    threads = tuple(pool._threads)
    found = tuple(thread.__dict__.get(PARTY) for thread in threads)
    # One that is not there yet, or has never waited for anything, may be on its way.
    return SOMEBODY if len(threads) < pool._max_workers or None in found else found


def _deadlock(wait: Wait, *, looks: bool = False) -> tuple[_Members, bool] | None:
    """Those who wait for one another, ``wait`` among them, and whether anybody could have ended it.

    ``looks``: it is the thread that waits which asks. Then, where anybody could have, also None unless that is the one
    that would be told, who asks for all: this walks all stacks, and of hundreds that wait each looks twice a second.
    """
    members: _Members = {}
    wakers: dict[Party, _Wakers] = {}
    todo, anybody = [wait.party], False
    while todo:
        party = todo.pop()
        if party in members:
            continue
        its = party.waiting
        if its is None or not its.patient:
            return None
        members[party] = its
        found = _wakers(its)
        if found is SOMEBODY:
            return None
        if found is ANYBODY:
            anybody = True
        else:
            wakers[party] = found
            todo += found
    if anybody:
        everybody = _everybody_waits(members, wait if looks else None)
        return None if everybody is None else (everybody, True)
    circle = _back_to(wait.party, wakers)
    return ({party: members[party] for party in circle}, False) if circle else None


def _back_to(me: Party, wakers: dict[Party, _Wakers]) -> set[Party]:
    """Those from whom a way leads to ``me``; none where it is in no circle itself, but waits for one."""
    found: set[Party] = set()
    grows = True
    while grows:
        more = {
            party
            for party, others in wakers.items()
            if party not in found and any(other is me or other in found for other in others)
        }
        grows = bool(more)
        found |= more
    return found if me in found else set()


# Does nobody run?


def _everybody_waits(members: _Members, asks: Wait | None) -> _Members | None:
    """All threads that wait, if no other one runs; None if one does, or may, or another than ``asks`` is to ask."""
    now = monotonic()
    patience = min(QUIET, AGAIN)
    if any(now - each.since < patience for each in members.values()):
        return None
    main = threading._main_thread._ident  # type: ignore[attr-defined]
    mains = _of_main()
    if (mains is None or mains.waiting is None) and not _shuts_down():
        return None  # the usual case, told without looking at all of them
    if asks is not None and not (_waits_for_itself(asks) or _is_told(asks, mains)):
        return None
    by_thread = {party.thread: party for party in parties()}
    frames = current_frames()
    found: _Members = {}
    try:
        for number, frame in frames.items():
            party = by_thread.get(number)
            its = None if party is None else party.waiting
            if party is not None and its is not None:
                # A main thread that waits in the runner itself, between tests or for other processes, is none of ours.
                if not its.patient or _starts_another(frame) or (number == main and _is_runner(frame)):
                    return None
                found[party] = its
            elif not (
                is_idle(frame) or (number != main and _ends_no_wait(number, frame)) or (number == main and _ends(frame))
            ):
                return None
        return None if handlers() or others(len(frames)) else found
    finally:
        del frames


def _of_main() -> Party | None:
    main: threading.Thread = threading._main_thread  # type: ignore[attr-defined]
    found: Party | None = main.__dict__.get(PARTY)
    if found is not None and found.thread == main.ident:
        return found
    return next((party for party in parties() if party.thread == main.ident), None)


def _waits_for_itself(wait: Wait) -> bool:
    """Whether a thread waits for a lock of its own, so that it is suspected where somebody runs."""
    return wait.lock is not None and wait.lock._me is wait.party


def _is_told(wait: Wait, mains: Party | None) -> bool:
    """Whether this wait's thread is told: as ``_chosen`` says, the main one if it waits, or else the last to begin."""
    if mains is not None and mains.waiting is not None:
        return mains is wait.party
    threads = threading._active  # type: ignore[attr-defined]
    mine = wait.since, wait.party.number
    return not any(
        (its := party.waiting) is not None and (its.since, party.number) > mine and party.thread in threads
        for party in parties()
    )


def lasts(wait: Wait, more: float = 0.0) -> bool:
    """Whether a wait is one for ever, and has gone on for so long that nobody is about to end it."""
    return wait.patient and monotonic() - wait.since >= QUIET + more and not replaced()


def waiting_for_ever(frames: dict[int, FrameType]) -> set[int]:
    """The threads that have long been in such a wait; none of a deadlock that is about to be broken."""
    found = set()
    for party in parties():
        wait, frame = party.waiting, frames.get(party.thread)
        if wait is not None and frame is not None and lasts(wait) and _stands(frame) and _deadlock(wait) is None:
            found.add(party.thread)
    return found


def stuck_threads() -> tuple[Stuck, ...]:
    """Those of ``waiting_for_ever``, in words."""
    frames = current_frames()
    threads = waiting_for_ever(frames)
    waiting = [(party, party.waiting) for party in parties() if party.thread in threads and party.waiting is not None]
    names = _names(waiting)
    found = [_stuck(party, wait, frames.get(party.thread), names) for party, wait in waiting]
    del frames
    return tuple(found[:MOST])


def is_idle(frame: FrameType) -> bool:
    """Whether a thread is a worker of a pool that waits for work: that is the C function it calls itself."""
    return frame.f_code is pools._worker.__code__


# What runs tests, by package. Its threads end no wait of a test's where they are older than any test (those that talk
# to other processes), or are ours. The rest of ``coresys`` does what a user wants done.
_OURS = ("pytest_coresys", "coresys.measure", "coresys.threads.watching.service")  # the last: of ``watch()``
RUNNERS = (*_OURS, "_pytest", "pytest", "pluggy", "execnet", "xdist")
_older: frozenset[int] = frozenset()  # threads that were there before anything was watched


def _ends_no_wait(number: int, frame: FrameType | None) -> bool:
    """Whether a thread belongs to what runs the tests."""
    return _is_runner(frame, (*(RUNNERS if number in _older else _OURS), *NO_STRANGERS))


def _is_runner(frame: FrameType | None, names: tuple[str, ...] = RUNNERS) -> bool:
    """Whether nothing stands in a thread but these, and the standard library."""
    found = inner = False
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name.startswith(names):
            found = inner = True
        elif name == "__main__" and inner and frame.f_code.co_name == "<module>":
            pass  # the script that called it
        elif not name.startswith("coresys.threads.watching") and makers.kind_of(name) is not makers.LIBRARY:
            return False
        else:
            inner = False
        frame = frame.f_back
    return found


def _shuts_down() -> bool:
    """Whether the main thread may be waiting for all others, as the last thing that it does."""
    return bool(getattr(threading, "_SHUTTING_DOWN", True))


_starting = threading.Thread.start.__code__
_ending = threading._shutdown.__code__  # type: ignore[attr-defined]


def _starts_another(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is _starting:
            return True
        frame = frame.f_back
    return False


def _ends(frame: FrameType | None) -> bool:
    """Whether the interpreter ends, and waits for its threads, which it does for ever."""
    if frame is None or frame.f_globals.get("__name__") not in ("threading", "concurrent.futures.thread"):
        return False
    while frame is not None:
        if frame.f_code is _ending:
            return True
        frame = frame.f_back
    return False


def others(threads: int) -> bool:
    """Whether there are threads beside these so many of Python's that may come by: that do not wait for others."""
    known = {thread._native_id for thread in tuple(threading._active.values())}  # type: ignore[attr-defined]
    try:
        tasks = os.listdir("/proc/self/task")
        return len(tasks) > threads and not all(int(task) in known or _waits_for_another(task) for task in tasks)
    except OSError:
        return False  # not known here


# Plugins of pytest whose threads and handlers of signals wake nobody: they only end, or count, tests.
NO_STRANGERS = frozenset({"pytest_timeout", "pytest_rerunfailures"})


def handlers() -> bool:
    """Whether a signal would run something of the user's: not what ends a test, or a loop of asyncio's by Ctrl-C."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if not callable(handler) or handler is signal.default_int_handler:
            continue
        function = getattr(handler, "func", handler)
        module = str(getattr(function, "__module__", ""))
        if number == signal.SIGINT and module == "asyncio.runners":
            continue
        if module.partition(".")[0] not in NO_STRANGERS and makers.kind_of(module) is not makers.PLUMBING:
            return True
    return False


_FUTEX = {"x86_64": "202", "aarch64": "98"}.get(os.uname().machine if hasattr(os, "uname") else "", "")


def _waits_for_another(task: str) -> bool:
    """Whether a thread that is none of Python's waits for another one of the process, for ever: an idle one of a
    library's. One with a timeout may be a library's timer, which calls something of Python's then.
    """
    with open(f"/proc/self/task/{task}/syscall", encoding="ascii", errors="replace") as file:
        return waits_for_ever(file.read())


def waits_for_ever(call: str) -> bool:
    """Whether a call of the system, as ``/proc/.../syscall`` tells it, is a futex's without a timeout (its fourth)."""
    words = call.split()
    return len(words) > 4 and words[0] == _FUTEX and words[4] == "0x0"


def _all_stand(members: _Members) -> bool:
    """Whether all of them stand in their waits: none is in a handler or finalizer that has come by meanwhile."""
    frames = current_frames()
    try:
        return all(_stands(frames.get(party.thread)) for party in members)
    finally:
        del frames


def _stands(frame: FrameType | None) -> bool:
    name = "" if frame is None else str(frame.f_globals.get("__name__", ""))
    return name == "threading" or name.startswith("coresys.")


# Telling


def _raise(wait: Wait, members: _Members, quiet: bool) -> None:
    global _told
    frames = current_frames()
    order = _in_order(wait, members)
    names = _names((party, members[party]) for party in order)
    stuck = tuple(_stuck(party, members[party], frames.get(party.thread), names) for party in order[:MOST])
    del frames
    if spared():
        wait.seen = TOLD
        note(Broken("", quiet, stuck))
        return
    note(Broken(wait.party.name, quiet, stuck))
    if wait.party.thread != threading._main_thread._ident:  # type: ignore[attr-defined]
        _told = monotonic(), chains.current.leaf
    error = DeadlockError(
        lock=stuck[0].wanted,
        cycle=tuple((each.thread, each.wanted, each.holder) for each in stuck),
        sites=tuple((_short(each.at), _short(each.taken_at)) for each in stuck),
        threads=tuple((each.thread, each.held, each.stack) for each in stuck),
    )
    error.__dict__["_coresys_told"] = True
    try:
        raise error
    finally:
        del error  # or it and its traceback keep one another, and all that stands in the frames


def _in_order(wait: Wait, members: _Members) -> list[Party]:
    """From the one that is told on, each followed by whom it waits for, as far as that goes."""
    order = [wait.party]
    while True:
        found = _wakers(members[order[-1]])
        if found is ANYBODY or found is SOMEBODY:
            break
        after = [party for party in found if party in members and party not in order]
        if not after:
            break
        order.append(after[0])
    return [*order, *(party for party in members if party not in order)]


def _short(place: Location | None) -> str:
    return "" if place is None else f"{place.path}:{place.line}"


def names_of(idents: Iterable[Ident]) -> dict[Ident, str]:
    """What locks are called in one report; numbered where several would be called the same."""
    return numbered({ident: _called(ident) for ident in idents})


def _called(ident: Ident) -> str:
    name = node_of(ident).name
    return f"the {name}" if ident.made[0] is not None and name.startswith(f"{ident.kind} made at ") else name


def _names(members: Iterable[tuple[Party, Wait]]) -> dict[Ident, str]:
    """Of all that these hold, and wait for."""
    found: list[Ident] = []
    for party, wait in members:
        if wait.lock is not None:
            found.append(wait.lock._ident)
        found += party.chain.held()
    return names_of(found)


def _stuck(party: Party, wait: Wait, frame: FrameType | None, names: Mapping[Ident, str]) -> Stuck:
    found = _wakers(wait)
    known = found is not ANYBODY and found is not SOMEBODY
    holder = " or ".join(each.name for each in found[:3]) if known else ""
    taken = None
    if wait.lock is not None:
        ident: Ident = wait.lock._ident
        taken = place_of((ident.code, ident.offset))
        holder = wait.lock._me.name if wait.lock._me is not None else holder
    return Stuck(
        thread=party.name,
        wanted=_wanted(wait, names),
        holder=holder,
        at=place_of(makers.outside(wait.frame)),
        taken_at=taken,
        held=tuple(dict.fromkeys(names.get(ident) or _called(ident) for ident in party.chain.held())),
        stack=_stack(frame),
    )


def _wanted(wait: Wait, names: Mapping[Ident, str]) -> str:
    if wait.lock is not None:
        return names.get(wait.lock._ident) or _called(wait.lock._ident)
    if wait.target.kind == "thread":
        return f"the end of thread {wait.thing._name}"
    if wait.target.kind == "future":
        run = wait.thing.__dict__.get(RUN)
        return "a future that no worker is free for" if run is None else f"the future of {run.name}"
    return _noticed(wait.frame)


def _noticed(frame: FrameType | None) -> str:
    """What a Condition was waited for, by who asked it: the innermost frame of the library that is no Condition's."""
    while frame is not None and frame.f_code in _CONDITIONS:
        frame = frame.f_back
    if frame is None:
        return "a Condition"
    if frame.f_globals.get("__name__") == "queue":
        return {"get": "an item in a Queue", "put": "room in a Queue"}.get(frame.f_code.co_name, "a Queue to be done")
    return _CALLED.get(frame.f_code, "a Condition")


_CALLED = {  # read before anything is put in their places
    threading.Event.wait.__code__: "an Event",
    threading.Semaphore.acquire.__code__: "a Semaphore",
    threading.Barrier._wait.__code__: "a Barrier",  # type: ignore[attr-defined]
}
_CONDITIONS = {threading.Condition.wait.__code__, threading.Condition.wait_for.__code__}


def _stack(frame: FrameType | None) -> tuple[str, ...]:
    """The frames of a stack that are not ours, the innermost first."""
    lines: list[str] = []
    while frame is not None and len(lines) < DEEPEST:
        if makers.kind_of(frame.f_globals.get("__name__")) is not makers.PLUMBING:
            lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        frame = frame.f_back
    return tuple(lines)


def suspect(wait: Wait) -> None:
    """Say once, on the terminal, that a thread waits for a lock that it holds itself, for a long time."""
    lock = wait.lock
    if not _waits_for_itself(wait) or lock._ident.handed or isinstance(lock, RLockType):
        return
    if monotonic() - wait.since < QUIET:
        return
    stuck = _stuck(wait.party, wait, sys._getframe(), _names([(wait.party, wait)]))
    taken = f"which it took itself at {_short(stuck.taken_at)}"
    _suspected(wait, stuck, f"{taken}; other threads run, and may let it go")


def suspect_loop(wait: Wait) -> None:
    """The same, of one that waits for the thread of an event loop, which has nothing to do. Called by that one."""
    stuck = _stuck(wait.party, wait, None, _names([(wait.party, wait)]))
    taken = f"which {stuck.holder} took at {_short(stuck.taken_at)}"
    _suspected(wait, stuck, f"{taken}; that one's event loop has nothing to do, but others run, and may wake it")


def _suspected(wait: Wait, stuck: Stuck, why: str) -> None:
    wait.seen = SUSPECTED
    lines = [
        f"coresys: suspected deadlock: {stuck.thread} has waited {QUIET:.0f} s for {stuck.wanted}, "
        f"at {_short(stuck.at)},",
        f"  {why}. All threads:",
    ]
    frames = current_frames()
    by_thread = {party.thread: party.name for party in parties()}
    for number, frame in list(frames.items())[:MOST]:
        lines += [f"  {by_thread.get(number, f'thread {number}')}:", *(f"    {line}" for line in _stack(frame))]
    del frames
    suspected.append(lines[0])
    _say("\n".join(lines) + "\n")


def _say(text: str) -> None:
    try:
        os.write(_terminal if _terminal >= 0 else 2, text.encode("utf-8", "backslashreplace"))
    except OSError:
        pass


def _quiet_hook(original: Callable[[], Callable[[Any], None]]) -> Callable[[], Callable[[Any], None]]:
    """A thread that dies of what was raised here dies of something that is told by somebody else."""

    def make() -> Callable[[Any], None]:
        tell = original()

        def invoke_excepthook(thread: Any) -> None:
            error = sys.exc_info()[1]
            if not _silent or "_coresys_told" not in getattr(error, "__dict__", ()):
                tell(thread)

        return invoke_excepthook

    return make


__all__ = [
    "AGAIN",
    "NO_STRANGERS",
    "SUSPECTED",
    "Broken",
    "Stuck",
    "broken",
    "count",
    "handlers",
    "install",
    "is_idle",
    "keep_silent",
    "lasts",
    "look",
    "names_of",
    "note",
    "noted",
    "others",
    "since",
    "spare",
    "spared",
    "stuck_threads",
    "suspect_loop",
    "suspected",
    "uninstall",
    "waiting_for_ever",
    "waits_for_ever",
]
