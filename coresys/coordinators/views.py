"""Parts of managers, each a manager of its own: what holds for ``I*Manager`` holds for its part.

A part is a name. Names get it as a prefix on the way in (``orders`` of the part ``tests`` is ``tests/orders`` to the
manager), and lose it on the way out; what has no name (a component ``""``) is the part itself. So two parts never meet,
a part may have parts, and what is not in a part is not there for whoever has the view. Errors are those of the
manager: they tell its names, in full. Only the protocols are used, so that anybody's managers can be parted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, ref

from coresys.clock import monotonic, sleep
from coresys.errors.hierarchy import (
    ComponentSpecError,
    CoreSysError,
    StopFailedError,
    TransitionRefusedError,
)
from coresys.forks import renew_in_children
from coresys.system_records import (
    CleanupReport,
    CleanupStep,
    ComponentRecord,
    ComponentSpec,
    EnvironmentRecord,
    EnvironmentSpec,
    ErrorRecord,
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
from coresys.threads.atomics import AtomicCounter, AtomicReference
from coresys.threads.pool import LOOK
from coresys.threads.sites import see_through

if TYPE_CHECKING:
    from coresys.interfaces import (
        Environment,
        ICleanupManager,
        IComponentManager,
        IMonitoringManager,
        IResourceManager,
        IStateManager,
        ITestManager,
        IThreadManager,
        Lease,
    )

T = TypeVar("T")
PRIORITIES = ("system", "processing", "monitoring")
_A_MOMENT = 0.001  # seconds, for somebody who is just submitting


class _Part:
    """Names of a part, as those outside of it know them, and back."""

    __slots__ = ("_prefix", "name")

    def __init__(self, name: str) -> None:
        if not name or "/" in (name[0], name[-1]):
            raise ValueError(f"a part has a name, without a slash at its ends, not {name!r}")
        self.name, self._prefix = name, f"{name}/"

    @property
    def inner_start(self) -> str:
        """What the names of all that is in the part begin with, and those of nothing else."""
        return self._prefix

    def inner(self, name: str) -> str:
        return self._prefix + name if name else self.name

    def has(self, full: str) -> bool:
        return full == self.name or full.startswith(self._prefix)

    def outer(self, full: str) -> str:
        """What the part calls it: without its prefix."""
        return full[len(self._prefix) :] if full.startswith(self._prefix) else ""


class ScopedMonitoring:
    """What is told for components of a part."""

    def __init__(self, monitoring: IMonitoringManager, part: str) -> None:
        self._monitoring, self._part = monitoring, _Part(part)

    def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
        """A transition was made, of a machine of this part."""
        # Its table too: managers count by tables, and what is counted under one outside is not in the part's snapshot.
        record = replace(record, machine=self._part.inner(record.machine), table=self._part.inner(record.table))
        self._monitoring.transition_made(record, seconds=seconds, seconds_in_source=seconds_in_source)

    def error_seen(self, record: ErrorRecord) -> None:
        """An error was captured, in a component of this part."""
        self._monitoring.error_seen(replace(record, component=self._part.inner(record.component)))

    def count(self, name: str, value: float = 1, *, component: str = "") -> None:
        """Add to a counter."""
        self._monitoring.count(name, value, component=self._part.inner(component))

    def gauge(self, name: str, value: float, *, component: str = "") -> None:
        """Set a figure that goes up and down."""
        self._monitoring.gauge(name, value, component=self._part.inner(component))

    def record(self, name: str, value: float, *, unit: str, component: str = "") -> None:
        """Add a value to a distribution."""
        self._monitoring.record(name, value, unit=unit, component=self._part.inner(component))

    def snapshot(self) -> MonitoringSnapshot:
        """Everything that was told for this part; what was refused and left out is that of the whole."""
        found, part = self._monitoring.snapshot(), self._part
        return replace(
            found,
            counters=tuple((name, part.outer(full), value) for name, full, value in found.counters if part.has(full)),
            gauges=tuple((name, part.outer(full), value) for name, full, value in found.gauges if part.has(full)),
            distributions=tuple(
                replace(each, component=part.outer(each.component))
                for each in found.distributions
                if part.has(each.component)
            ),
        )


class ScopedStates:
    """Machines of a part. What became of events is counted of those that were fired through this view, but for what was
    queued: nobody tells it what became of that."""

    def __init__(self, states: IStateManager, part: str) -> None:
        self._states, self._part = states, _Part(part)
        self._made, self._refused, self._failed = AtomicCounter(), AtomicCounter(), AtomicCounter()

    def define(self, name: str, definition: StateDefinition) -> None:
        """Hold a new machine in its initial state."""
        if not name:
            raise ValueError("a machine that is held has a name")
        self._states.define(self._part.inner(name), definition)

    def names(self) -> tuple[str, ...]:
        """The machines of this part."""
        return tuple(self._part.outer(full) for full in self._states.names() if self._part.has(full))

    def state(self, name: str) -> str:
        """The state it is in."""
        return self._states.state(self._part.inner(name))

    def describe(self, name: str) -> MachineRecord:
        """Where it stands."""
        found = self._states.describe(self._part.inner(name))
        return replace(found, name=name, last=None if found.last is None else self._own(found.last))

    def fire(
        self, name: str, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> TransitionRecord | None:
        """Make a transition."""
        full = self._part.inner(name)
        record = self._counted(lambda: self._states.fire(full, event, payload, cause=cause, actor=actor))
        if record is None:
            return None
        self._made.add()
        return self._own(record)

    def fire_all(
        self,
        events: Mapping[str, str],
        payloads: Mapping[str, Any] | None = None,
        *,
        cause: str | None = None,
        actor: str | None = None,
    ) -> tuple[TransitionRecord, ...]:
        """One transition of each machine that is named: all, or none."""
        inner = self._part.inner
        full = {inner(name): event for name, event in events.items()}
        given = None if payloads is None else {inner(name): payload for name, payload in payloads.items()}
        records = self._counted(lambda: self._states.fire_all(full, given, cause=cause, actor=actor))
        self._made.add(len(records))
        return tuple(map(self._own, records))

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        """The last transitions that are kept, oldest first."""
        return tuple(map(self._own, self._states.history(self._part.inner(name), last)))

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
        """Go back to an earlier state, as a transition of its own; returns it."""
        state = self._states.rollback(
            self._part.inner(name), steps, to_sequence=to_sequence, to_snapshot=to_snapshot, cause=cause, actor=actor
        )
        self._made.add()
        return state

    def snapshot(self, name: str, label: str) -> int:
        """Remember where a machine stands under a label."""
        return self._states.snapshot(self._part.inner(name), label)

    def release(self, name: str) -> None:
        """Hold it no longer."""
        self._states.release(self._part.inner(name))

    def statistics(self) -> StateStatistics:
        """What is held of this part, and what became of events that were fired through this view."""
        standing: dict[tuple[str, str], int] = {}
        machines = 0
        for name in self.names():
            try:
                found = self.describe(name)
            except CoreSysError:  # released meanwhile
                continue
            machines += 1
            key = (found.table, found.state)
            standing[key] = standing.get(key, 0) + 1
        in_state = tuple((table, state, count) for (table, state), count in sorted(standing.items()))
        return StateStatistics(machines, self._made.get(), self._refused.get(), self._failed.get(), in_state)

    def _own(self, record: TransitionRecord) -> TransitionRecord:
        return replace(record, machine=self._part.outer(record.machine))

    def _counted(self, fire: Callable[[], T]) -> T:
        try:
            return fire()
        except TransitionRefusedError:
            self._refused.add()
            raise
        except CoreSysError:
            self._failed.add()
            raise


class _Submitted:
    """A task of a part: what its manager runs, and what the part knows of it. ``thread``: that it runs on, 0: none."""

    __slots__ = ("__weakref__", "function", "future", "priority", "queued", "thread", "view")

    def __init__(self, view: ScopedThreads, function: Callable[[], Any], priority: str) -> None:
        self.view, self.function, self.priority, self.queued = view, function, priority, monotonic()
        self.future: Future[Any] | None = None
        self.thread = 0

    def __call__(self) -> Any:
        self.thread = get_ident()
        self.view._began(self)
        became = "failed"
        try:
            done = self.function()
            became = "completed"
            return done
        finally:  # before its future is done: whoever has the result finds it counted
            self.view._ended_as(self, became)

    def is_open(self) -> bool:
        """Whether it may still be run, or runs."""
        return self.future is None or not self.future.done()


class ScopedThreads:
    """Tasks of a part, on the threads of all. A channel is one of this part; ``shutdown`` is of this part alone.

    Invariant: a task is in ``_open`` from before it is submitted until it was refused, has ended, or its future was
    cancelled; each change of that is one step of a dictionary. So ``shutdown``, which refuses first and looks then,
    knows whom to wait for, and an interruption anywhere in ``submit`` leaves at most a task that nobody holds any
    more: the references are weak, and its manager has what it is going to run.
    """

    def __init__(self, threads: IThreadManager, part: str) -> None:
        self._threads, self._part = threads, _Part(part)
        self._open: WeakKeyDictionary[_Submitted, None] = WeakKeyDictionary()
        self._refusing = self._cancelling = False
        self._counts = {name: AtomicCounter() for name in ("submitted", "completed", "failed", "cancelled")}
        self._waits: dict[str, AtomicReference[float]] = {name: AtomicReference(0.0) for name in PRIORITIES}
        self._leaving: dict[object, int] = {}  # threads that wait in ``shutdown``
        renew_in_children(self, ScopedThreads._after_fork)

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a function at the ordinary priority. Raises RuntimeError after ``shutdown``."""
        return self.submit_with(partial(function, *args, **kwargs))

    def submit_with(
        self, function: Callable[[], T], *, priority: str = "processing", channel: str | None = None
    ) -> Future[T]:
        """Run a function at a priority, perhaps in the order of a channel of this part."""
        task = _Submitted(self, function, priority)
        full = None if channel is None else self._part.inner(channel)
        self._open[task] = None  # before it is looked: whoever shuts down meanwhile sees it, or is seen
        try:
            if self._refusing:
                raise RuntimeError("cannot schedule new futures after shutdown")
            future: Future[T] = self._threads.submit_with(task, priority=priority, channel=full)
        except BaseException as error:
            if isinstance(error, Exception):  # refused; an interruption may have come when it was accepted
                self._open.pop(task, None)
            del task  # a traceback keeps this frame
            raise
        task.future = future
        self._counts["submitted"].add()
        future.add_done_callback(partial(self._is_over, ref(task)))
        if self._cancelling:
            future.cancel()
        return future

    def _began(self, task: _Submitted) -> None:
        waits, waited = self._waits.get(task.priority), monotonic() - task.queued
        if waits is not None and waits.get() < waited:
            waits.update(lambda longest: max(longest, waited))

    def _ended_as(self, task: _Submitted, became: str) -> None:
        task.thread = 0
        self._counts[became].add()

    def _is_over(self, known: ref[_Submitted], future: Future[Any]) -> None:
        if future.cancelled():
            self._counts["cancelled"].add()
        task = known()
        if task is not None:
            self._open.pop(task, None)

    def _tasks(self) -> list[_Submitted]:
        """Those that are open, as of one moment: others add and remove meanwhile."""
        return [task for known in self._open.keyrefs() if (task := known()) is not None and task.is_open()]

    def statistics(self) -> ThreadPoolStatistics:
        """Tasks of this part, on the workers of all. A task that failed is one of the completed too."""
        workers, tasks = self._threads.statistics(), self._tasks()
        waiting = [
            task.priority for task in tasks if task.future is not None and not (task.thread or task.future.running())
        ]
        ended = {name: counter.get() for name, counter in self._counts.items()}
        system, processing, monitoring = (waiting.count(priority) for priority in PRIORITIES)
        longest = {name: waited.get() for name, waited in self._waits.items()}
        return ThreadPoolStatistics(
            workers=workers.workers,
            most_workers=workers.most_workers,
            busy=sum(task.thread != 0 for task in tasks),
            queued=(system, processing, monitoring),
            submitted=ended["submitted"],
            completed=ended["completed"] + ended["failed"],
            failed=ended["failed"],
            cancelled=ended["cancelled"],
            waits=(longest["system"], longest["processing"], longest["monitoring"]),
        )

    def threads(self) -> tuple[ThreadRecord, ...]:
        """The threads of this process: tasks of all parts run on them."""
        return self._threads.threads()

    def locks(self) -> tuple[LockStatistics, ...]:
        """The ranked locks whose names are of this part."""
        return tuple(
            replace(lock, name=self._part.outer(lock.name))
            for lock in self._threads.locks()
            if self._part.has(lock.name)
        )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks of this part; with ``wait``, return when those that were taken are done.

        The threads are those of all, and go on. Called in a task of this part, it waits neither for what is on its own
        thread, nor for tasks that are in ``shutdown`` themselves. A task that waits for the result of one that is in
        here waits for ever.
        """
        self._cancelling = self._cancelling or cancel_futures
        self._refusing = True
        if cancel_futures:
            for task in self._tasks():
                if task.future is not None:
                    task.future.cancel()
        if not wait:
            return
        mine = object()
        try:
            self._leaving[mine] = get_ident()
            while tasks := self._waited_for():
                futures = [task.future for task in tasks if task.future is not None]
                del tasks  # the references are weak, but for ours
                if futures:
                    wait_for(futures, timeout=LOOK)
                else:
                    sleep(_A_MOMENT)
        finally:
            self._leaving.pop(mine, None)

    def _waited_for(self) -> list[_Submitted]:
        own, tasks = get_ident(), self._tasks()
        if any(task.thread == own for task in tasks):
            gone = set(self._leaving.values())
            return [task for task in tasks if task.thread not in gone]
        return tasks

    def _after_fork(self) -> None:
        """Whoever was submitting or running is not there; its tasks are the parent's, but for those of this thread."""
        # No future is asked: whoever held its lock is not there either.
        known = [task for each in self._open.keyrefs() if (task := each()) is not None]
        self._open = WeakKeyDictionary({task: None for task in known if task.thread == get_ident()})
        self._leaving = {}


class ScopedLease:
    """A lease of a part: its manager's, whose record tells the owner by the name that it has in the part."""

    __slots__ = ("__weakref__", "_lease", "_part")

    def __init__(self, lease: Lease, part: _Part) -> None:
        self._lease, self._part = lease, part

    @property
    def view(self) -> memoryview:
        """The bytes, as many as were asked for."""
        return self._lease.view

    @property
    def record(self) -> LeaseRecord:
        """To whom, and where."""
        found = self._lease.record
        return replace(found, owner=self._part.outer(found.owner))

    def release(self) -> None:
        """Give it back."""
        self._lease.release()

    def __enter__(self) -> memoryview:
        return self._lease.__enter__()

    def __exit__(self, *exc: object) -> None:
        self._lease.__exit__(*exc)

    def __buffer__(self, flags: int) -> memoryview:  # of Python 3.12 and later
        return self._lease.view

    def __len__(self) -> int:
        return len(self._lease.view)

    def __getattr__(self, name: str) -> Any:
        """What its manager's leases have beside the protocol: ``hand_over`` of ours, say."""
        if name.startswith("_"):  # of a copy that is being made, which has no lease yet
            raise AttributeError(name)
        return getattr(self._lease, name)

    def __repr__(self) -> str:
        return f"<ScopedLease in {self._part.name!r}: {self._lease!r}>"


class ScopedResources:
    """What owners of a part hold. Figures of the tiers are those of all."""

    def __init__(self, resources: IResourceManager, part: str) -> None:
        self._resources, self._part = resources, _Part(part)

    @see_through
    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Lease:
        """A buffer of at least ``size`` bytes."""
        return ScopedLease(self._resources.lease(size, owner=self._part.inner(owner), timeout=timeout), self._part)

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0) -> None:
        """What an owner may hold, and what is kept for it, in bytes."""
        self._resources.limit(self._part.inner(owner), lease=lease, reserve=reserve)

    @see_through
    def register(self, name: str, *, owner: str, close: Callable[[], object]) -> None:
        """Put anything else that has to be closed in an owner's hands."""
        self._resources.register(name, owner=self._part.inner(owner), close=close)

    def leases(self, owner: str | None = None) -> tuple[LeaseRecord, ...]:
        """What is lent now to an owner, or to all of this part."""
        found = self._resources.leases(None if owner is None else self._part.inner(owner))
        return tuple(replace(each, owner=self._part.outer(each.owner)) for each in found if self._part.has(each.owner))

    def release_owner(self, owner: str) -> int:
        """Take back and close all that an owner holds."""
        return self._resources.release_owner(self._part.inner(owner))

    def usage(self, owner: str) -> OwnerUsage:
        """What an owner holds and may hold."""
        return replace(self._resources.usage(self._part.inner(owner)), owner=owner)

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """One record for each tier."""
        return self._resources.statistics()


class ScopedComponents:
    """Components of a part, which need one another: what they need is of this part too.

    Of a manager that has views of its own (``view``, as ours) a change of the part is one change, and touches nothing
    else. Of one that keeps the protocol only, all of a part are started and stopped one by one: one that did not start
    may be told as stopped, and ``rest-for-one`` restarts whatever starts after it, also outside of the part.
    """

    def __init__(self, components: IComponentManager, part: str) -> None:
        self._whole, self._part = components, _Part(part)
        view = _view_of(components, self._part.inner_start)
        self._is_view, self._components = view is not None, view or components

    def register(
        self,
        spec: ComponentSpec,
        *,
        start: Callable[[], object],
        stop: Callable[[], object],
        healthy: Callable[[], bool] | None = None,
    ) -> None:
        """Declare a component."""
        if not spec.name:
            raise ComponentSpecError(component="", problem="a component has a name")
        full = replace(spec, name=self._part.inner(spec.name), needs=tuple(map(self._part.inner, spec.needs)))
        self._components.register(full, start=start, stop=stop, healthy=healthy)

    def start(self, name: str | None = None) -> None:
        """Start a component and what it needs; None: all of this part, or none: what was started is stopped again."""
        if name is not None:
            self._components.start(self._part.inner(name))
        elif self._is_view:
            self._components.start()
        else:
            self._start_one_by_one()

    def _start_one_by_one(self) -> None:
        began: list[str] = []
        try:
            for each in self._own():
                if each.state != "running":
                    began.append(each.name)
                    self._components.start(each.name)
        except BaseException:
            # Last first, as they need one another. The one that failed does not run, unless we were interrupted.
            for full in reversed(began):
                with suppress(CoreSysError):  # what failed to start is on its way
                    if self._components.status(full).state == "running":
                        self._components.stop(full)
            raise

    def stop(self, name: str | None = None) -> None:
        """Stop a component and those that need it; None: all of this part. All are attempted."""
        if name is not None:
            self._components.stop(self._part.inner(name))
        elif self._is_view:
            self._components.stop()
        else:
            self._stop_one_by_one()

    def _stop_one_by_one(self) -> None:
        told: list[tuple[str, str]] = []
        causes: list[BaseException] = []
        interrupted: BaseException | None = None
        try:
            for each in reversed(self._own()):
                try:
                    self._components.stop(each.name)
                except StopFailedError as error:
                    told += error.problems
                    causes += error.causes
                except Exception as error:
                    told.append((each.name, f"{type(error).__name__}: {error}"))
                    causes.append(error)
                except BaseException as error:  # raised as it is, when all was attempted
                    interrupted = interrupted or error
            if interrupted is not None:
                raise interrupted
            if told:
                what = f"stop of {self._part.name}"
                raise StopFailedError(component=told[0][0], action=what, problems=tuple(told), causes=tuple(causes))
        finally:
            del causes, interrupted  # their tracebacks have this frame: no circles

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        """Stop and start it, and by its strategy others too."""
        return self._components.restart(self._part.inner(name), cause=cause)

    def status(self, name: str) -> ComponentRecord:
        """Where it stands."""
        return self._outer(self._components.status(self._part.inner(name)))

    def components(self) -> tuple[ComponentRecord, ...]:
        """Those of this part, in the order they start in."""
        return tuple(map(self._outer, self._own()))

    def _own(self) -> list[ComponentRecord]:
        start = self._part.inner_start
        return [each for each in self._components.components() if each.name.startswith(start)]

    def _outer(self, record: ComponentRecord) -> ComponentRecord:
        outer = self._part.outer
        return replace(record, name=outer(record.name), needs=tuple(map(outer, record.needs)))


def _view_of(components: IComponentManager, start: str) -> IComponentManager | None:
    """Those whose names begin so, as a manager of their own; None where there is no such thing."""
    if not isinstance(components, ScopedComponents):
        view: Callable[[str], IComponentManager] | None = getattr(components, "view", None)
        return None if view is None else view(start)
    outer = _view_of(components._whole, components._part.inner(start))
    if outer is None:
        return None
    part = ScopedComponents(components._whole, components._part.name)
    part._components = outer
    return part


class ScopedTests:
    """Environments of a part."""

    def __init__(self, tests: ITestManager, part: str) -> None:
        self._tests, self._part = tests, _Part(part)

    def open_environment(self, spec: EnvironmentSpec) -> EnvironmentRecord:
        """Open an environment."""
        return self._outer(self._tests.open_environment(replace(spec, name=self._part.inner(spec.name))))

    def environment(self, name: str) -> Environment:
        """The managers of one that is open."""
        return self._tests.environment(self._part.inner(name))

    def verify_environment(self, name: str) -> EnvironmentRecord:
        """What is left in it now."""
        return self._outer(self._tests.verify_environment(self._part.inner(name)))

    def close_environment(self, name: str) -> EnvironmentRecord:
        """Close it."""
        return self._outer(self._tests.close_environment(self._part.inner(name)))

    def environments(self) -> tuple[EnvironmentRecord, ...]:
        """Those of this part that are open."""
        return tuple(self._outer(each) for each in self._tests.environments() if self._part.has(each.name))

    def _outer(self, record: EnvironmentRecord) -> EnvironmentRecord:
        return replace(record, name=self._part.outer(record.name))


class ScopedCleanup:
    """Steps of a part, in channels within its own."""

    def __init__(self, cleanup: ICleanupManager, part: str) -> None:
        self._cleanup, self._part = cleanup, _Part(part)

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        """Declare a step; what it comes after is of this part too."""
        inner = self._part.inner
        full = replace(step, name=inner(step.name), channel=inner(step.channel), after=tuple(map(inner, step.after)))
        self._cleanup.add(full, run)

    def run(self, *, channel: str | None = None, deadline: float | None = None) -> CleanupReport:
        """Run the steps of a channel of this part, or all of it."""
        report = self._cleanup.run(channel=self._part.inner(channel or ""), deadline=deadline)
        return replace(
            report,
            done=tuple(map(self._shown, report.done)),
            failed=tuple((self._shown(step), problem) for step, problem in report.failed),
            hung=tuple(map(self._shown, report.hung)),
        )

    def _shown(self, full: str) -> str:
        """What others have, that was brought along, keeps its name."""
        return self._part.outer(full) if self._part.has(full) else full


__all__ = [
    "ScopedCleanup",
    "ScopedComponents",
    "ScopedLease",
    "ScopedMonitoring",
    "ScopedResources",
    "ScopedStates",
    "ScopedTests",
    "ScopedThreads",
]
