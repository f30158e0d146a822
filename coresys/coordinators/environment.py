"""The world of one test, over a system that is its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from coresys.records import Location
from coresys.system_records import CleanupStep, EnvironmentSpec, LeaseRecord
from coresys.threads.sites import site_of

if TYPE_CHECKING:
    from types import FrameType

    from coresys.clock import WallClock
    from coresys.coordinators.assembly import Coordinators, System
    from coresys.interfaces import Environment

CHANNEL = "test"
"""Of an environment's owners of buffers, in the pools that only it has."""
_LARGEST = 64 * 1024  # bytes of a buffer that needs no grant
_OURS = ("coresys.threads.", "threading", "concurrent.futures.", "asyncio.")


class SystemEnvironment:
    """A system that one test has: see ``IEnvironment``, and ``clock``, which only this test's managers go by.

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

    @property
    def coordinators(self) -> Coordinators:
        """The coordinators over its managers."""
        return self._system.coordinators

    def left(self) -> tuple[str, ...]:
        """What is there now that the test should have given back."""
        return (*self._buffers(), *self._tasks(), *self._locks())

    def close(self) -> tuple[str, ...]:
        """Take everything down; what was left, and what could not be taken down."""
        locks = self._locks()  # those of whoever does not give them back: they are closed with the threads
        # Declared last of all: whatever the test's own steps give back, has been by then.
        self._system.cleanup.add(CleanupStep("take buffers back", here=True), self._take_back)
        report = self._system.shutdown()
        tasks = self._tasks()
        hung = [f"cleanup step {step!r} did not end" for step in report.hung]
        failed = [
            f"cleanup step {step!r} failed: {problem}"
            for step, problem in report.failed
            if not (tasks and step == "end threads")  # the tasks themselves are told
        ]
        return tuple(dict.fromkeys((*self._taken, *report.left, *tasks, *locks, *failed, *hung)))

    @property
    def most_held(self) -> tuple[str, int] | None:
        """The component that held most buffers at once, beside what it was granted, and how many bytes; None: none."""
        return self.resources.most_of_one()

    def _take_back(self) -> None:
        if self._system.resources.owned.owners():  # what closes them may hang
            self._system.within(0.5, self._take_all_back)
        else:
            self._take_all_back()

    def _take_all_back(self) -> None:
        self.external = max((pool.external for pool in self.pools.statistics()), default=0.0)
        left = self.resources.close()
        self._taken += [_told(lease) for lease in left.leases]
        self._taken += [_told(lease, " and dropped") for lease in left.dropped]
        self._taken += [f"{_told(lease)}, on whose memory something stands still" for lease in left.in_use]
        self._taken += [f"{name!r} of {owner!r} failed to close: {problem}" for owner, name, problem in left.problems]
        found = (lease.where for lease in (*left.leases, *left.dropped))
        self.places = tuple(dict.fromkeys(place for place in found if place is not None))

    def _buffers(self) -> Iterable[str]:
        dropped = self.resources.leaked()
        yield from (_told(lease) for lease in self.resources.leases())
        yield from (_told(lease, " and dropped") for lease in dropped)

    def _tasks(self) -> list[str]:
        """Tasks that run now, each with the place where it stands."""
        standing = self.threads.pool.running()
        frames = sys._current_frames()
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        found = []
        for ident in standing:
            place = _standing(frames.get(ident))
            found.append(f"a task that runs on {names.get(ident, ident)}{'' if place is None else f', at {place}'}")
        return found

    def _locks(self) -> list[str]:
        return [
            f"lock {lock.name!r}, held by {lock.holder}" for lock in self.threads.locks() if lock.holder is not None
        ]

    def __repr__(self) -> str:
        return f"<Environment {self.name}: {self._system!r}>"


def _told(lease: LeaseRecord, then: str = "") -> str:
    place = "" if lease.where is None else f", taken at {lease.where}"
    return f"a buffer of {lease.requested} bytes, lent to {lease.owner!r}{then}{place}"


def _standing(frame: FrameType | None) -> str | None:
    """Where a thread is, in code that is not of threads: a task that waits stands where it called to wait."""
    inner = None if frame is None else site_of(frame)
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith(_OURS):
            return site_of(frame)
        frame = frame.f_back
    return inner


if TYPE_CHECKING:
    _check: type[Environment] = SystemEnvironment

__all__ = ["SystemEnvironment"]
