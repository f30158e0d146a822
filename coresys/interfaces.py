"""What the core systems promise one another: seven managers and the one of errors, as protocols.

Whoever needs a manager takes one of these, by keyword; nobody looks one up. Signatures hold plain values, callables and
records. What a docstring says an implementation must do is what the conformance suites ask of it.

Of all: any thread may call any method, unless it says otherwise. An error is raised as a CoreSysError that carries
its values, and a method that raises has changed nothing, unless it says otherwise. Names in an error may be longer
than those that were given: a part of a manager raises its manager's errors, which tell names in full. What nobody may
give at all (no name for what has one, a priority that there is not) is a ValueError. ``close`` (or ``shutdown``) may
be called twice. What a ``statistics`` method returns is a record as of one moment, and reading it disturbs nobody.
Times are in seconds, sizes in bytes. What a manager does not have at all, such as a way back, raises
NotImplementedError: the suites ask no more of that then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from coresys.system_records import (
    CleanupReport,
    CleanupStep,
    ComponentRecord,
    ComponentSpec,
    EnvironmentRecord,
    EnvironmentSpec,
    ErrorRecord,
    ErrorStatistics,
    LeaseRecord,
    LockStatistics,
    MachineRecord,
    MonitoringSnapshot,
    OwnerUsage,
    PoolStatistics,
    StateDefinition,
    StateStatistics,
    ThreadPoolStatistics,
    ThreadRecord,
    TransitionRecord,
)

T = TypeVar("T")


class IMonitoringManager(Protocol):
    """Takes note of what happens. It must not raise, wait, or call back into whoever tells it: what is no number, or
    would have a counter fall, is taken for nothing."""

    def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
        """A transition was made; every one is told once. ``seconds``: what it took; the other: how long the state
        was that it left. It is counted, and both are values of a distribution each."""

    def error_seen(self, record: ErrorRecord) -> None:
        """An error was captured; every one is told once, however many components it passes."""

    def count(self, name: str, value: float = 1, *, component: str = "") -> None:
        """Add to a counter, which only grows."""

    def gauge(self, name: str, value: float, *, component: str = "") -> None:
        """Set a figure that goes up and down."""

    def record(self, name: str, value: float, *, unit: str, component: str = "") -> None:
        """Add a value to a distribution."""

    def snapshot(self) -> MonitoringSnapshot:
        """Everything so far. A distribution has at least the quantiles 0.5 and 0.99, each right to 2 %."""


class IStateManager(Protocol):
    """Holds state machines by name.

    It must guarantee: an event that the definition does not declare in the present state changes nothing and raises
    TransitionRefusedError; of the transitions of one machine each has the next number, and begins in the state that
    the one before it led to, whatever the number of threads; a rolled-back machine is in the state that it was in.
    """

    def define(self, name: str, definition: StateDefinition) -> None:
        """Hold a new machine in its initial state. Raises DuplicateMachineError, or TableError, and holds nothing then.

        A table is wrong, and the TableError's text names the state or the event that makes it so, where it has no
        states, or one twice; where its initial or its error state, or a source or a target of a transition, is none of
        them; where no way leads to a state from the initial one (to the error state none has to); where an event has no
        name, leads from one state to two, or leads out of a final state."""

    def names(self) -> tuple[str, ...]:
        """The machines that are held, each once."""

    def state(self, name: str) -> str:
        """The state it is in. Raises UnknownMachineError, as do all that follow."""

    def describe(self, name: str) -> MachineRecord:
        """Where it stands."""

    def fire(
        self, name: str, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> TransitionRecord | None:
        """Make a transition; None where it was queued, for it was fired from inside one of the same machine.

        Raises TransitionRefusedError where the event is not declared in the state it is in: state, number and history
        are as before. What was made is in the history when this returns."""

    def fire_all(
        self,
        events: Mapping[str, str],
        payloads: Mapping[str, Any] | None = None,
        *,
        cause: str | None = None,
        actor: str | None = None,
    ) -> tuple[TransitionRecord, ...]:
        """One transition of each machine that is named: all, or none. Raises as ``fire``, for any of them."""

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        """The last transitions that are kept, oldest first, without a gap; None: all of them, 0: none. How many are
        kept is a matter of the manager; the last one always is."""

    def rollback(
        self,
        name: str,
        steps: int | None = None,
        *,
        to_sequence: int | None = None,
        to_snapshot: str | None = None,
        cause: str | None = None,
        actor: str | None = None,
    ) -> str:
        """Go back to an earlier state; returns it. Raises RollbackError where there is no such.

        It is a transition of its own, with the next number, and ``rollback`` for its event: nothing is taken out of the
        history. ``steps``: to where it stood so many transitions ago, one where nothing is said; ``to_sequence``: to
        where the transition of that number led to, 0: the initial state; ``to_snapshot``: to where it stood then."""

    def snapshot(self, name: str, label: str) -> int:
        """Remember where a machine stands under a label; returns the number of its last transition."""

    def release(self, name: str) -> None:
        """Hold it no longer: it is unknown then, and its name free."""

    def statistics(self) -> StateStatistics:
        """What is held, and what became of events."""


class IErrorManager(Protocol):
    """Captures errors where they happen and takes them along declared paths to sinks.

    It must guarantee: each error that is reported is counted once and reaches the sink of its path once, also when it
    is reported again on its way; a record keeps nothing of the exception alive.
    """

    def route(self, component: str, to: str) -> None:
        """Errors of ``component`` go on to ``to``: another component, or a sink, which may be declared later. Raises
        where that closes a circle."""

    def sink(self, name: str, receive: Callable[[ErrorRecord], object]) -> None:
        """Declare an end of paths: ``receive`` is called with each error that comes there, once, a group being one,
        before ``report`` returns. What it raises is not raised there: the error is undelivered then."""

    def report(self, error: BaseException, *, component: str, severity: str = "error") -> ErrorRecord:
        """Capture an error, in the thread it happened in, and send it along its path.

        The record has its text as ``message``, what it was raised from as ``causes``, and what a group has in it as
        ``members``. A group is not counted, nor told to monitoring: each error in it is, at whatever depth. An error
        object that was reported to this manager before, by whichever component it passed, is not counted or sent
        again."""

    def recent(self, component: str | None = None) -> tuple[ErrorRecord, ...]:
        """The last errors that are kept, oldest first; of one kind from one place perhaps only the last."""

    def statistics(self) -> ErrorStatistics:
        """What was seen, and what became of it."""


class IThreadManager(Protocol):
    """Runs tasks on a bounded number of threads.

    It must guarantee: never more than the stated number of workers; a task that was accepted is run, cancelled, or its
    future says why not; tasks of one channel run in the order they were submitted in, never two at once; context
    variables of whoever submits are those of the task; an inner task that an outer one waits for is run.
    """

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a function at the ordinary priority; the executor protocol of the standard library, so that it raises
        RuntimeError after ``shutdown``."""

    def submit_with(
        self, function: Callable[[], T], *, priority: str = "processing", channel: str | None = None
    ) -> Future[T]:
        """Run a function at a priority (``system``, ``processing``, ``monitoring``), perhaps in a channel's order.

        What is queued is begun by priority, the highest first, but for one in eight at most, by which what is low
        begins though there is always something higher. A channel keeps its order whatever the priorities of its tasks.

        Raises ValueError for another priority, and RuntimeError after ``shutdown``."""

    def statistics(self) -> ThreadPoolStatistics:
        """Workers, queues, and what became of tasks: one is counted before its future is done."""

    def threads(self) -> tuple[ThreadRecord, ...]:
        """The threads of this process, with what the kernel knows of them."""

    def locks(self) -> tuple[LockStatistics, ...]:
        """The ranked locks that were made here; none, where it makes none."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with ``wait``, return when those that were taken are done, and its threads have ended.
        ``cancel_futures``: those that have not begun are cancelled."""


class Lease(Protocol):
    """A buffer that is lent. Leaving its ``with`` block gives it back; what is used after that raises a ValueError
    that says ``released``, views that were had before among it."""

    @property
    def view(self) -> memoryview:
        """The bytes, as many as were asked for: to be written to, and nobody else's meanwhile."""

    @property
    def record(self) -> LeaseRecord:
        """To whom, and where."""

    def release(self) -> None:
        """Give it back. Raises LeaseReleasedError when that was done before, also by ``release_owner``."""

    def __enter__(self) -> memoryview: ...

    def __exit__(self, *exc: object) -> None: ...


class IResourceManager(Protocol):
    """Lends buffers and keeps account of everything that has an owner.

    It must guarantee: no owner gets more than its limit, which is looked at before anything is taken; an owner gets its
    reserve whatever others hold; a fresh lease has no bytes of another owner.

    Which tiers there are, and of how many buffers, is its own matter, and told by ``statistics``. A lease counts for
    all of its buffer, or for what was asked for: always for the same of the two, in limits and in ``usage``.
    """

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Lease:
        """A buffer of at least ``size`` bytes; its record has the owner's name as it was given, and ``size`` as what
        was ``requested``. Raises LeaseSizeError where no tier is so large, LeaseLimitError, and PoolExhaustedError
        where none was free within ``timeout`` seconds: 0 is at once, None never."""

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0) -> None:
        """What an owner may hold, and what is kept for it, in bytes, in the place of what was said before; ``lease``
        None: no limit.

        A reserve is kept in each tier: as many whole buffers as go into it. It may be refused, by LeaseLimitError,
        where a tier has not so many."""

    def register(self, name: str, *, owner: str, close: Callable[[], object]) -> None:
        """Put anything else that has to be closed in an owner's hands: what came last is closed first. Raises
        DuplicateResourceError where it has one of that name."""

    def leases(self, owner: str | None = None) -> tuple[LeaseRecord, ...]:
        """What is lent now, to an owner or to all."""

    def release_owner(self, owner: str) -> int:
        """Take back and close all that an owner holds; returns how many buffers and other things that were.

        All is attempted: where something failed to close, ResourcesNotClosedError is raised in the end."""

    def usage(self, owner: str) -> OwnerUsage:
        """What an owner holds and may hold."""

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """One record for each tier: ``busy`` are the buffers of it that are lent, whatever size was asked for."""


class IComponentManager(Protocol):
    """Starts, stops and restarts components in the order of what they need.

    It must guarantee: what a component needs runs before it is started and until it has stopped; one that was restarted
    too often within its time is not restarted again, but failed.
    """

    def register(
        self,
        spec: ComponentSpec,
        *,
        start: Callable[[], object],
        stop: Callable[[], object],
        healthy: Callable[[], bool] | None = None,
    ) -> None:
        """Declare a component. What it needs may be declared later. Raises a ComponentError where it has no name, its
        name is taken, or it needs itself, through whatever others."""

    def start(self, name: str | None = None) -> None:
        """Start a component and what it needs; None: all.

        What runs is left alone. Where one fails, what this has started is stopped again, and StartFailedError raised;
        an interruption is raised as it is."""

    def stop(self, name: str | None = None) -> None:
        """Stop a component and those that need it; None: all.

        All are attempted: StopFailedError tells, in the end, of each that failed; an interruption is raised then as it
        is."""

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        """Stop and start it, and those that need it and run; by the strategy ``rest-for-one`` all that start after it
        and run too, and no other. What fails to stop is started all the same.

        StartFailedError where one does not start: that one, and what needs it, does not run then; whether others do
        that were stopped along with it is the manager's matter. False where it was restarted ``spec.restarts`` times
        within the last ``spec.within`` seconds: it is ``failed`` then, and what needs it is stopped."""

    def status(self, name: str) -> ComponentRecord:
        """Where it stands; of one that is ``failed`` with the problem, in words. Raises UnknownComponentError, as do
        all that take a name."""

    def components(self) -> tuple[ComponentRecord, ...]:
        """All of them, in the order they start in."""


class Environment(Protocol):
    """The small world of one test: managers that nobody else has, with limits of its own."""

    @property
    def name(self) -> str:
        """What it is called where it was made: in full, where a part of a manager opened it."""

    @property
    def state(self) -> IStateManager: ...

    @property
    def resources(self) -> IResourceManager: ...

    @property
    def errors(self) -> IErrorManager: ...

    @property
    def threads(self) -> IThreadManager: ...

    @property
    def monitoring(self) -> IMonitoringManager: ...

    @property
    def components(self) -> IComponentManager: ...

    @property
    def cleanup(self) -> ICleanupManager: ...

    def left(self) -> tuple[str, ...]:
        """What is there now that a test should have given back: a line for each, with the name of its owner, and the
        place (file and line) where it came from: buffers that are lent, tasks that are not done. Components that run
        and what is registered are none of it: they end with it.

        Nothing is taken away, and nothing waited for."""

    def close(self) -> tuple[str, ...]:
        """Take everything down, and away; what was left behind, and what could not be taken down, by lines as above. A
        second time tells the same."""


class ITestManager(Protocol):
    """Opens a small world for a test, and closes it.

    It must guarantee: two environments share nothing; what is left behind in one is found when it is closed, named, and
    taken away.
    """

    def open_environment(self, spec: EnvironmentSpec) -> EnvironmentRecord:
        """Open an environment. Raises DuplicateEnvironmentError where one of that name is open."""

    def environment(self, name: str) -> Environment:
        """The managers of one that is open. Raises UnknownEnvironmentError."""

    def verify_environment(self, name: str) -> EnvironmentRecord:
        """What is left in it now, of what a test should have given back; nothing is taken away."""

    def close_environment(self, name: str) -> EnvironmentRecord:
        """Close it; the record says what was left behind in it, by the lines of ``Environment.left``. Its threads take
        no more tasks then (RuntimeError), its leases are taken back, and its name is unknown."""

    def environments(self) -> tuple[EnvironmentRecord, ...]:
        """Those that are open."""


class ICleanupManager(Protocol):
    """Takes things down in the order of what they need.

    It must guarantee: every step is begun, whatever became of those before it, none before what it comes after; a step
    that overruns its deadline is left behind and said to be; a second run does nothing.
    """

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        """Declare a step. What it comes after may be declared later. Raises CleanupOrderError where its name is taken,
        or it comes after itself, through whatever others."""

    def run(self, *, channel: str | None = None, deadline: float | None = None) -> CleanupReport:
        """Run the steps of a channel and of those within it (``orders`` has ``orders/eu``), or all, within
        ``deadline`` seconds; with a channel's, those that they come after. An interruption of a step is raised when all
        were begun.

        Phases go in their order: stop-intake, drain, flush, release, verify. A step that raises has failed, and is told
        with the text of its error; one that is not over at its deadline hangs, and nothing waits for it; all others are
        done."""


__all__ = [
    "Environment",
    "ICleanupManager",
    "IComponentManager",
    "IErrorManager",
    "IMonitoringManager",
    "IResourceManager",
    "IStateManager",
    "ITestManager",
    "IThreadManager",
    "Lease",
]
