"""Brings cleanup, state and resources together: a system goes down once, in order, and says what it left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from coresys.coordinators.views import ScopedCleanup, ScopedResources, ScopedStates
from coresys.errors.hierarchy import DuplicateMachineError, StateError
from coresys.system_records import CleanupReport, CleanupStep, LeaseRecord, StateDefinition

if TYPE_CHECKING:
    from coresys.interfaces import ICleanupManager, IResourceManager, IStateManager

GOING_DOWN = StateDefinition(
    name="cleanup",
    states=("up", "going down", "down", "incomplete"),
    initial="up",
    transitions=(
        ("begin", "up", "going down"),
        ("begin", "down", "going down"),
        ("begin", "incomplete", "going down"),
        ("done", "going down", "down"),
        ("fail", "going down", "incomplete"),
    ),
)
"""How far down a system is."""


# The runs that a thread, or a task, is inside of; goes along to the threads that steps are run on.
_inside: ContextVar[tuple[object, ...]] = ContextVar("coresys.coordinators.cleanup", default=())


class CleanupCoordinator:
    """Takes a system down: steps in their order, owners with what they hold, and a report of what is left.

    ``state`` holds a machine ``system`` (in the part ``cleanup``), which says how far that is. ``owner`` makes a step
    that takes back and closes whatever an owner still holds; a buffer that was still lent by then is told in the
    report's ``left``, for whoever had it did not give it back. ``cleanup``, ``state`` and ``resources`` are the parts
    of the managers that are this coordinator's own; its steps and owners are those of the whole system.
    """

    def __init__(
        self,
        *,
        cleanup: ICleanupManager,
        state: IStateManager,
        resources: IResourceManager,
        part: str = "cleanup",
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.cleanup = ScopedCleanup(cleanup, part)
        self.state = ScopedStates(state, part)
        self.resources = ScopedResources(resources, part)
        self._cleanup, self._resources = cleanup, resources
        self._lock = nullcontext() if lock is None else lock
        self._left: dict[int, str] = {}  # by the number of the lease
        self._runs: dict[object, bool] = {}  # that go on, and whether they are of the whole system
        self._complete = True  # all of the whole system that have ended since the first of them began
        with suppress(DuplicateMachineError):  # a store that outlives the process has it
            self.state.define("system", GOING_DOWN)

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        """Declare a step of the system."""
        self._cleanup.add(step, run)

    def owner(self, name: str, *, after: Iterable[str] = (), channel: str = "", deadline: float | None = None) -> None:
        """Declare a step ``release NAME``, which takes back and closes what an owner holds."""
        step = CleanupStep(f"release {name}", after=tuple(after), channel=channel, deadline=deadline)
        self._cleanup.add(step, partial(self.take_back, name))

    def take_back(self, owner: str) -> None:
        """Take back and close what an owner holds; buffers that are lent to it are told in the next report."""
        self._note(self._resources.leases(owner))
        self._resources.release_owner(owner)

    def _note(self, leases: Iterable[LeaseRecord]) -> None:
        for lease in leases:
            self._left[lease.number] = told(lease)

    def run(self, *, channel: str | None = None, deadline: float | None = None) -> CleanupReport:
        """Run the steps of a channel, or all, within ``deadline`` seconds; see ``ICleanupManager.run``.

        Of a whole run, buffers that are lent when it is over are told as left. Two that run at once both tell what was
        left; a run from inside a step tells nothing, and the system is down when the outermost is over.
        """
        if any(run in self._runs for run in _inside.get()):
            return self._cleanup.run(channel=channel, deadline=deadline)
        mine, whole = object(), channel is None
        entered = _inside.set((*_inside.get(), mine))
        report: CleanupReport | None = None
        try:
            self._begin(mine, whole=whole)
            report = self._cleanup.run(channel=channel, deadline=deadline)
            if whole:
                self._note(self._resources.leases())
            lent = tuple(self._left.values())
            report = replace(report, left=(*lent, *(line for line in report.left if line not in lent)))
            return report
        finally:
            self._end(mine, whole=whole, complete=report is not None and report.complete)
            _inside.reset(entered)

    def _begin(self, run: object, *, whole: bool) -> None:
        with self._lock:
            self._runs[run] = whole
            first = whole and sum(self._runs.values()) == 1
        if first:
            self._complete = True
            self._tell("begin")

    def _end(self, run: object, *, whole: bool, complete: bool) -> None:
        if whole and not complete:
            self._complete = False
        with self._lock:
            self._runs.pop(run, None)
            last = whole and not any(self._runs.values())
            if not self._runs:  # what was left has been told: while another goes on, it tells it too
                self._left = {}
        if last:
            self._tell("done" if self._complete else "fail")

    def _tell(self, event: str) -> None:
        # Two may take a system down at once, and a store may be beyond reach: that keeps nobody from going on.
        with suppress(StateError):
            self.state.fire("system", event)

    @property
    def is_down(self) -> bool:
        """Whether a cleanup came to its end, and nothing was left."""
        return self.state.state("system") == "down"

    def __repr__(self) -> str:
        return f"<CleanupCoordinator: the system is {self.state.state('system')}>"


def told(lease: LeaseRecord, then: str = "") -> str:
    """A buffer that was left, in words."""
    place = "" if lease.where is None else f", taken at {lease.where}"
    return f"a buffer of {lease.requested} bytes, lent to {lease.owner!r}{then}{place}"


__all__ = ["GOING_DOWN", "CleanupCoordinator", "told"]
