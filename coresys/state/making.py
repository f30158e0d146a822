"""A transition on its way: prepared, published, told of. What machines use among themselves."""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from collections.abc import Coroutine, Sequence
from contextvars import ContextVar
from logging import getLogger
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from coresys.errors.hierarchy import TransitionFailedError
from coresys.forks import call_in_children
from coresys.state.history import Entry
from coresys.state.scope import Scope
from coresys.state.table import Edge, Trigger, name_of
from coresys.system_records import PendingTimer

if TYPE_CHECKING:
    from coresys.state.machine import Machine

log = getLogger("coresys.state")


class Event(NamedTuple):
    """An event that waits. ``dependent``: it was fired by an observer inside a transition, and falls with that."""

    name: str
    payload: Any
    cause: str | None
    actor: str | None
    dependent: bool = False


class Telling:
    """A transition whose observers are being told, without a lock: events that they fire are queued here.

    When it is over it is emptied: a task that was made by an observer inherits it, and would keep all of it.
    """

    __slots__ = ("ident", "machine", "outer", "queue")

    def __init__(self, machine: Machine, queue: deque[Event]) -> None:
        self.machine: Machine | None = machine
        outer = telling.get()
        while outer is not None and outer.queue is None:
            outer = outer.outer
        self.outer: Telling | None = outer
        self.ident = get_ident()
        self.queue: deque[Event] | None = queue  # None when it is over: whoever inherited it is on its own then


# By context, not by thread: of two tasks of one thread, only the one that is inside an observer is re-entrant.
telling: ContextVar[Telling | None] = ContextVar("coresys_state_telling", default=None)

# The threads that are inside observers of a transaction now: what they fire falls with it.
inside_now: set[int] = set()


class Extra:
    """What few machines need, made when one does."""

    __slots__ = ("queue", "snapshots", "spent", "telling", "timers")

    def __init__(self) -> None:
        self.queue: deque[Event] = deque()  # events fired by the thread that holds the lock
        self.telling: set[Telling] = set()  # transitions whose observers are being told now
        self.snapshots: dict[str, tuple[str, int]] = {}
        self.timers: dict[tuple[str, str], PendingTimer] = {}  # is replaced, never changed
        self.spent: PendingTimer | None = None  # the one that is being fired

    def drop_dependent(self) -> None:
        """Forget what was fired inside a transaction that failed. Under the machine's lock."""
        self.queue = deque(event for event in self.queue if not event.dependent)


making = RLock()  # of the above; a leaf, which a signal's handler may ask for again

NOBODY = Edge("", "", "", None)


class Made:
    """A transition: prepared, then published, then told of."""

    __slots__ = (
        "armed", "before", "began", "edge", "ended", "entry", "error", "machine", "queued", "scope", "timers",
        "trigger",
    )  # fmt: skip

    def __init__(
        self, machine: Machine, edge: Edge, trigger: Trigger, entry: Entry, before: Entry, began: float = 0.0
    ) -> None:
        self.machine, self.edge, self.trigger = machine, edge, trigger
        self.entry, self.before, self.began, self.ended = entry, before, began, began
        self.scope: Scope = machine._scope  # as of now: a machine that is released meanwhile has another
        self.timers: dict[tuple[str, str], PendingTimer] | None = None  # all that are armed then; None: as before
        self.armed: tuple[PendingTimer, ...] = ()
        self.queued: deque[Event] = deque()
        self.error: TransitionFailedError | None = None

    def publish(self) -> None:
        """Under the lock of the machine. Done twice, it does nothing the second time."""
        machine = self.machine
        if machine._last[0] < self.entry[0]:
            machine._publish(self.entry)
        extra = machine._extra
        if extra is not None and extra.queue:
            extra.queue.extendleft(reversed(self.queued))
            fresh: deque[Event] = deque()
            self.queued, extra.queue = extra.queue, fresh
        if self.timers is not None:
            machine._more().timers = self.timers
            if self.armed and self.scope.timers is not None:
                self.scope.timers.armed(machine, self.armed)


def publish_all(all_made: Sequence[Made]) -> None:
    """Publish, all of them: also where a signal's exception comes in between, which is raised after that."""
    try:
        for made in all_made:
            made.publish()
    except BaseException:
        for made in all_made:
            made.publish()
        raise


class Failure(Exception):
    """Never leaves these modules: what raised in a transaction, and in which part of it."""

    def __init__(self, phase: str, error: Exception, trigger: Trigger) -> None:
        self.phase, self.error, self.trigger = phase, error, trigger
        super().__init__(phase)


def note(error: BaseException, text: str) -> None:
    """As ``error.add_note``, which CPython 3.10 does not have."""
    notes = getattr(error, "__notes__", None) or []
    error.__notes__ = [*notes, text]  # type: ignore[attr-defined]


def cut_short(causes: Sequence[BaseException]) -> bool:
    """Whether something interrupted: what is no Exception is not an observer's error, but is raised in the end."""
    return bool(causes) and not all(isinstance(cause, Exception) for cause in causes)


def not_run(answer: object, function: object, role: str) -> TypeError:
    """What is wrong with an answer that would have to be awaited; it is closed, for nobody will.

    A table refuses what it can see to be asynchronous; a plain function that calls such a one shows when it is asked.
    A task is another matter: it runs by itself, and an observer may start and return one.
    """
    if isinstance(answer, Coroutine):
        answer.close()
    return TypeError(f"{name_of(function)}, {role}, returned what has to be awaited: {type(answer).__name__}")


@call_in_children
def _after_fork() -> None:
    global making
    making = RLock()
    inside_now.clear()
