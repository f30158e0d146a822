"""The world of one test, over a system that is its own."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from coresys.coordinators.cleanup import told
from coresys.errors.hierarchy import LeaseInUseError, PoolsClosedError
from coresys.frames import current_frames
from coresys.records import Location
from coresys.system_records import CleanupStep, EnvironmentSpec, OwnedRecord
from coresys.threads.atomics import AtomicFlag
from coresys.threads.ranks import LockHierarchy
from coresys.threads.sites import standing

if TYPE_CHECKING:
    from types import FrameType

    from coresys.clock import WallClock
    from coresys.coordinators.assembly import Coordinators, System
    from coresys.interfaces import Environment

CHANNEL = "test"
"""Of an environment's owners of buffers, in the pools that only it has."""
_LARGEST = 64 * 1024  # bytes of a buffer that needs no grant
_TAKING_BACK = "take buffers back"
_IN_USE = f"{LeaseInUseError.__name__}: "
_OF_THREADS = ("threading", "concurrent.futures.", "asyncio.")


class SystemEnvironment:
    """A system that one test has: see ``Environment``; ``clock`` is one that only this test's managers go by.

    Invariant: what is left is looked for by the step that takes it away: so a task that ends while the threads are
    waited for has given back what it had.
    """

    def __init__(self, system: System, spec: EnvironmentSpec) -> None:
        self._system, self.spec = system, spec
        self.name = spec.name
        self.clock: WallClock = system.clock
        self.state, self.errors = system.state, system.errors
        self.resources = system.resources.view(CHANNEL, lease=spec.lease, largest=_LARGEST)
        self.threads, self.monitoring, self.components = system.threads, system.monitoring, system.components
        self.cleanup, self.tests = system.cleanup, system.tests
        self.pools = system.resources.pools
        self.places: tuple[Location, ...] = ()
        """Where that was taken which was left, once it is closed."""
        self.external = 0.0
        """The largest share of free bytes of its pools that were of no use to a request, as of when it was closed."""
        self._taken: list[str] = []
        self._going: list[str] = []  # tasks and locks, when the time of the threads was over
        self._left: tuple[str, ...] = ()
        self._late = False
        self._in_use: set[int] = set()  # numbers of leases
        self._closing = AtomicFlag()
        system.threads_ended = self._note_threads

    def declare_ranks(self, *ranks: str) -> LockHierarchy:
        """The order of this test's locks, outermost first; before any is made. Raises RankError."""
        inner = [rank.name for rank in self._system.hierarchy]
        hierarchy = LockHierarchy(self.name, [*ranks, *inner])
        self.threads.declare(hierarchy)
        return hierarchy

    @property
    def coordinators(self) -> Coordinators:
        """The coordinators over its managers."""
        return self._system.coordinators

    def left(self) -> tuple[str, ...]:
        """What is there now that the test should have given back."""
        return (*self._buffers(), *self._tasks(), *self._locks())

    def close(self) -> tuple[str, ...]:
        """Take everything down; what was left, and what could not be taken down. A second time tells the same."""
        first = self._closing.set()
        if first:
            # Declared last of all: whatever the test's own steps give back, has been by then.
            self._system.cleanup.add(CleanupStep(_TAKING_BACK, here=True), self._take_back)
        report = self._system.shutdown()
        if first:
            hung = [f"cleanup step {step!r} did not end" for step in report.hung]
            failed = [
                f"cleanup step {step!r} failed: {problem}"
                for step, problem in report.failed
                # The tasks, the buffer, and what does not close, are told themselves.
                if not (self._going and step == "end threads")
                and not (self._late and step == _TAKING_BACK)
                and not (self._in_use and step == "close resources" and problem.startswith(_IN_USE))
            ]
            lent = [line for line in map(_own, report.left) if not any(each.startswith(line) for each in self._taken)]
            self._system.threads_ended = _nothing  # which is us: what nobody has is freed at once
            self._left = (*self._taken, *lent, *self._going, *failed, *hung)
            self._system.forget()
        return self._left

    def _note_threads(self) -> None:
        # Before the locks are closed: tasks that wait for one end then, and nobody holds one any more.
        self._going = [*self._tasks(), *self._locks()]

    @property
    def most_held(self) -> tuple[str, int] | None:
        """The component that held most buffers at once, beside what it was granted, and how many bytes; None: none."""
        return self.resources.most_of_one()

    def _take_back(self) -> None:
        owned = self._system.resources.owned
        if not owned.owners():
            self._take_all_back()
            return
        try:  # what closes them may hang
            self._system.within(0.5, self._take_all_back)
        except TimeoutError:
            self._late, closing = True, owned.closing()
            if not closing:
                self._late = False
                raise
            self._taken += [f"{_resource(each.name, each)} did not close in time" for each in closing]
            self._add_places(each.where for each in closing)

    def _take_all_back(self) -> None:
        try:
            self.external = max((pool.external for pool in self.pools.statistics()), default=0.0)
        except PoolsClosedError:  # the test has run the whole cleanup itself, and was told by it what was left
            return
        left = self.resources.close()
        if self._late:  # it was waited for long enough: others have looked since
            return
        in_use = self._in_use = {lease.number for lease in left.in_use}
        self._taken += [told(lease) for lease in left.leases if lease.number not in in_use]
        self._taken += [told(lease, " and dropped") for lease in left.dropped]
        self._taken += [f"{told(lease)}, on whose memory something stands still" for lease in left.in_use]
        registered = {(each.owner, each.name): each for each in left.resources}
        failed = [(registered.get((owner, name)), owner, name, problem) for owner, name, problem in left.problems]
        self._taken += [f"{_resource(name, each, owner)} failed to close: {how}" for each, owner, name, how in failed]
        self._add_places(each.where for each in (*left.leases, *left.dropped))
        self._add_places(each.where for each, *_ in failed if each is not None)

    def _add_places(self, places: Iterable[Location | None]) -> None:
        self.places = tuple(dict.fromkeys((*self.places, *(place for place in places if place is not None))))

    def _buffers(self) -> Iterable[str]:
        dropped = self.resources.leaked()
        yield from (told(lease) for lease in self.resources.leases())
        yield from (told(lease, " and dropped") for lease in dropped)

    def _tasks(self) -> list[str]:
        """Tasks that run now, each with the place where it stands."""
        found = []
        standing = self.threads.pool.running()
        if standing:
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, place in _places(standing).items():
                where = "" if place is None else f", {place}"
                found.append(f"a task that runs on {names.get(ident, ident)}{where}")
        waiting = sum(self.threads.statistics().queued)
        if waiting:
            found.append(f"{waiting} task{'' if waiting == 1 else 's'} that had not begun")
        return found

    def _locks(self) -> list[str]:
        held = [lock for lock in self.threads.locks() if lock.holder is not None]
        taken = [lock.taken_at.rpartition(":") for lock in held if lock.taken_at is not None]
        self._add_places(Location(path, int(line)) for path, _, line in taken)
        return [
            f"lock {lock.name!r}, held by {lock.holder}" + (f", taken at {lock.taken_at}" if lock.taken_at else "")
            for lock in held
        ]

    def __repr__(self) -> str:
        return f"<Environment {self.name}: {self._system!r}>"


def _nothing() -> None:
    """Nobody asks any more."""


def _resource(name: str, record: OwnedRecord | None, owner: str = "") -> str:
    owner = owner or ("" if record is None else record.owner.removeprefix(f"{CHANNEL}/"))
    place = "" if record is None or record.where is None else f", registered at {record.where},"
    return f"{name!r} of {owner!r}{place}"


def _own(line: str) -> str:
    """A line of the system's about a buffer, with its owner's name as it is in here."""
    return line.replace(f"lent to '{CHANNEL}/", "lent to '")


def _places(idents: Iterable[int]) -> dict[int, str | None]:
    """Where these threads are."""
    frames = current_frames()
    try:
        return {ident: _place(frames.get(ident)) for ident in idents}
    finally:
        frames.clear()  # our own is one of them: it would keep itself, and all that any thread has in hand


def _place(frame: FrameType | None) -> str | None:
    """Where a thread is, in code that is not of threads: a task that waits stands where it called to wait.

    Of a task that is a function of the library's, which function that is.
    """
    place = standing(frame, _OF_THREADS)
    return _function(frame) if place is None else f"at {place}"


def _function(frame: FrameType | None) -> str | None:
    """The outermost function of the library that a task is in: nobody's code stands around it but the pool's."""
    found: FrameType | None = None
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("coresys."):
            if found is not None:
                break
        else:
            found = frame
        frame = frame.f_back
    if found is None:
        return None
    return f"in {found.f_globals.get('__name__')}.{getattr(found.f_code, 'co_qualname', found.f_code.co_name)}"


if TYPE_CHECKING:
    _check: type[Environment] = SystemEnvironment

__all__ = ["SystemEnvironment"]
