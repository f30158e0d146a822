"""Managers as somebody writes them who has read the docstrings of the protocols, and nothing else.

The plainest way each time: a dictionary and one lock. They are not slow on purpose, and not quick either; what the
suites find wrong with them is wrong with the suites, or missing in a docstring.
"""

from __future__ import annotations

import math
import sys
import threading
import time
import traceback
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from coresys.errors.hierarchy import (
    CleanupOrderError,
    ComponentCycleError,
    ComponentSpecError,
    DuplicateComponentError,
    DuplicateEnvironmentError,
    DuplicateMachineError,
    DuplicateResourceError,
    LeaseLimitError,
    LeaseReleasedError,
    LeaseSizeError,
    PoolExhaustedError,
    ResourcesNotClosedError,
    RollbackError,
    RouteError,
    StartFailedError,
    StopFailedError,
    TableError,
    TransitionRefusedError,
    UnknownComponentError,
    UnknownEnvironmentError,
    UnknownMachineError,
)
from coresys.records import Location
from coresys.system_records import (
    CleanupReport,
    CleanupStep,
    ComponentRecord,
    ComponentSpec,
    Distribution,
    EnvironmentRecord,
    EnvironmentSpec,
    ErrorRecord,
    ErrorStatistics,
    FrameRecord,
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

if TYPE_CHECKING:
    from coresys.interfaces import (
        Environment,
        ICleanupManager,
        IComponentManager,
        IErrorManager,
        IMonitoringManager,
        IResourceManager,
        IStateManager,
        ITestManager,
        IThreadManager,
        Lease,
    )


# -- state -------------------------------------------------------------------------------------------------------------


def problems_of(definition: StateDefinition) -> list[str]:
    """What is wrong with a table."""
    states = definition.states
    found = [] if states else ["it has no states"]
    found += [
        f"state {name!r} is declared twice" for name in sorted({each for each in states if states.count(each) > 1})
    ]
    if definition.initial not in states:
        found.append(f"the initial state {definition.initial!r} is no state of it")
    if definition.error is not None and definition.error not in states:
        found.append(f"the error state {definition.error!r} is no state of it")
    known: set[tuple[str, str]] = set()
    for event, source, target in definition.transitions:
        if not event:
            found.append(f"an event from {source!r} to {target!r} has no name: {event!r}")
        found += [f"{each!r} is no state of it" for each in (source, target) if each not in states]
        if (event, source) in known:
            found.append(f"{event!r} leads from {source!r} to two states")
        if source in definition.final:
            found.append(f"{event!r} leads out of {source!r}, which is final")
        known.add((event, source))
    reached = {definition.initial, definition.error}
    for _ in states:
        reached |= {target for _, source, target in definition.transitions if source in reached}
    return found + [f"no way leads to {name!r}" for name in states if name not in reached]


class _Machine:
    def __init__(self, name: str, definition: StateDefinition) -> None:
        self.name, self.definition, self.state, self.since = name, definition, definition.initial, time.time()
        self.made: list[TransitionRecord] = []
        self.snapshots: dict[str, tuple[str, int]] = {}


class PlainStates:
    """A dictionary of machines, and one lock."""

    def __init__(self, monitoring: IMonitoringManager | None = None) -> None:
        self._monitoring, self._lock = monitoring, threading.RLock()
        self._machines: dict[str, _Machine] = {}
        self._refused = 0

    def define(self, name: str, definition: StateDefinition) -> None:
        if not name:
            raise ValueError("a machine has a name")
        with self._lock:
            if name in self._machines:
                raise DuplicateMachineError(machine=name, where="a dictionary")
            if problems := problems_of(definition):
                raise TableError(table=definition.name, problems=tuple(problems))
            self._machines[name] = _Machine(name, definition)

    def names(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._machines)

    def _machine(self, name: str) -> _Machine:
        if name not in self._machines:
            raise UnknownMachineError(machine=name)
        return self._machines[name]

    def state(self, name: str) -> str:
        with self._lock:
            return self._machine(name).state

    def describe(self, name: str) -> MachineRecord:
        with self._lock:
            it = self._machine(name)
            marks = tuple((label, *kept) for label, kept in it.snapshots.items())
            last = it.made[-1] if it.made else None
            return MachineRecord(name, it.definition.name, it.state, len(it.made), it.since, last, snapshots=marks)

    def _target(self, it: _Machine, event: str) -> str:
        for known, source, target in it.definition.transitions:
            if (known, source) == (event, it.state):
                return target
        self._refused += 1
        allowed = tuple(known for known, source, _ in it.definition.transitions if source == it.state)
        raise TransitionRefusedError(
            machine=it.name, state=it.state, event=event, reason="it is not declared here", allowed=allowed
        )

    def _move(
        self, it: _Machine, event: str, target: str, cause: str | None, actor: str | None, began: float
    ) -> TransitionRecord:
        now = time.time()
        record = TransitionRecord(
            it.name, it.definition.name, len(it.made) + 1, now, event, it.state, target, cause, actor
        )
        stood = now - it.since
        it.made.append(record)
        it.state, it.since = target, now
        if self._monitoring is not None:
            self._monitoring.transition_made(record, seconds=time.perf_counter() - began, seconds_in_source=stood)
        return record

    def fire(
        self, name: str, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> TransitionRecord | None:
        began = time.perf_counter()
        with self._lock:
            it = self._machine(name)
            return self._move(it, event, self._target(it, event), cause, actor, began)

    def fire_all(
        self,
        events: Mapping[str, str],
        payloads: Mapping[str, Any] | None = None,
        *,
        cause: str | None = None,
        actor: str | None = None,
    ) -> tuple[TransitionRecord, ...]:
        began = time.perf_counter()
        with self._lock:
            machines = [(self._machine(name), event) for name, event in events.items()]
            targets = [self._target(it, event) for it, event in machines]
            return tuple(
                self._move(it, event, target, cause, actor, began)
                for (it, event), target in zip(machines, targets, strict=True)
            )

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        with self._lock:
            made = self._machine(name).made
            return tuple(made if last is None else made[max(len(made) - last, 0) :])

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
        began = time.perf_counter()
        with self._lock:
            it = self._machine(name)
            if to_snapshot is not None:
                if to_snapshot not in it.snapshots:
                    raise RollbackError(machine=name, wanted=to_snapshot, problem="there is no such snapshot")
                target = it.snapshots[to_snapshot][0]
            else:
                number = len(it.made) - (1 if steps is None else steps) if to_sequence is None else to_sequence
                if not 0 <= number <= len(it.made):
                    raise RollbackError(machine=name, wanted=str(number), problem="no transition has that number")
                target = it.made[number - 1].target if number else it.definition.initial
            return self._move(it, "rollback", target, cause, actor, began).target

    def snapshot(self, name: str, label: str) -> int:
        with self._lock:
            it = self._machine(name)
            it.snapshots[label] = (it.state, len(it.made))
            return len(it.made)

    def release(self, name: str) -> None:
        with self._lock:
            self._machine(name)
            del self._machines[name]

    def statistics(self) -> StateStatistics:
        with self._lock:
            made = sum(len(it.made) for it in self._machines.values())
            standing = Counter((it.definition.name, it.state) for it in self._machines.values())
            in_state = tuple((table, state, count) for (table, state), count in standing.items())
            return StateStatistics(len(self._machines), made, self._refused, 0, in_state)


# -- resources ---------------------------------------------------------------------------------------------------------

USUAL = (("small", 4096, 500), ("medium", 65536, 250), ("large", 1048576, 125))
OTHER = (("page", 1024, 64), ("block", 24_576, 40), ("extent", 2_097_152, 6))


def _caller() -> Location:
    frame = sys._getframe(2)
    return Location(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


class PlainLease:
    """A bytearray of its own, as long as was asked for."""

    def __init__(self, pool: PlainResources, record: LeaseRecord) -> None:
        self._pool, self._record = pool, record
        self._view = memoryview(bytearray(record.requested))
        self.released = False

    @property
    def view(self) -> memoryview:
        self._check()
        return self._view

    def end(self) -> None:
        self._view.release()
        self.released = True

    @property
    def record(self) -> LeaseRecord:
        return self._record

    def _check(self) -> None:
        if self.released:
            raise LeaseReleasedError(number=self._record.number, owner=self._record.owner)

    def release(self) -> None:
        self._pool.take_back(self)

    def __enter__(self) -> memoryview:
        return self.view

    def __exit__(self, *exc: object) -> None:
        if not self.released:
            self.release()


class PlainResources:
    """Tiers as counts, and a bytearray for each lease. ``exact``: bytes are counted as they were asked for, and not in
    whole slots."""

    def __init__(
        self, tiers: tuple[tuple[str, int, int], ...] = USUAL, *, exact: bool = False, most: int | None = None
    ) -> None:
        self._tiers, self._exact, self._all = tiers, exact, most
        self._free = threading.Condition()
        self._lent: dict[int, PlainLease] = {}
        self._limits: dict[str, tuple[int | None, int]] = {}
        self._owned: dict[str, dict[str, Callable[[], object]]] = {}
        self._number = 0
        self._most, self._count, self._refused = ({name: 0 for name, _, _ in tiers} for _ in range(3))

    def _counted(self, record: LeaseRecord) -> int:
        return record.requested if self._exact else record.size

    def _held(self, owner: str) -> list[LeaseRecord]:
        return [each.record for each in self._lent.values() if each.record.owner == owner]

    def _kept_for_others(self, owner: str, tier: str, slot: int) -> int:
        """Slots of a tier that nobody but those may have who have a reserve: as many as go into it, less theirs."""
        kept = 0
        for other, (_, reserve) in self._limits.items():
            if other != owner:
                mine = sum(each.tier == tier for each in self._held(other))
                kept += max(reserve // slot - mine, 0)
        return kept

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Lease:
        if not 0 < size <= self._tiers[-1][1]:
            raise LeaseSizeError(size=size, owner=owner, largest=self._tiers[-1][1])
        tier, slot, slots = next(each for each in self._tiers if each[1] >= size)
        where = _caller()
        record = LeaseRecord(0, owner, tier, slot, size, where)
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._free:
            while True:
                everybody = [each.record for each in self._lent.values()]
                limit = self._limits.get(owner, (None, 0))[0]
                for most, theirs in ((limit, self._held(owner)), (self._all, everybody)):
                    held = sum(map(self._counted, theirs))
                    if most is not None and held + self._counted(record) > most:
                        self._refused[tier] += 1
                        raise LeaseLimitError(owner=owner, wanted=self._counted(record), held=held, limit=most)
                busy = sum(each.record.tier == tier for each in self._lent.values())
                if busy + self._kept_for_others(owner, tier, slot) < slots:
                    break
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or not self._free.wait(left):
                    self._refused[tier] += 1
                    raise PoolExhaustedError(
                        tier=tier, owner=owner, slots=slots, reserved=0, waited=timeout or 0.0, holders=()
                    )
            self._number += 1
            lease = self._lent[self._number] = PlainLease(self, replace(record, number=self._number))
            self._count[tier] += 1
            self._most[tier] = max(self._most[tier], busy + 1)
            return lease

    def take_back(self, lease: PlainLease) -> None:
        with self._free:
            if lease.released:
                raise LeaseReleasedError(number=lease.record.number, owner=lease.record.owner)
            lease.end()
            del self._lent[lease.record.number]
            self._free.notify_all()

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0) -> None:
        with self._free:
            self._limits[owner] = (lease, reserve)
            self._free.notify_all()

    def register(self, name: str, *, owner: str, close: Callable[[], object]) -> None:
        with self._free:
            mine = self._owned.setdefault(owner, {})
            if name in mine:
                raise DuplicateResourceError(name=name, owner=owner)
            mine[name] = close

    def leases(self, owner: str | None = None) -> tuple[LeaseRecord, ...]:
        with self._free:
            return tuple(each.record for each in self._lent.values() if owner in (None, each.record.owner))

    def release_owner(self, owner: str) -> int:
        with self._free:
            owned = self._owned.pop(owner, {})
            lent = [each for each in self._lent.values() if each.record.owner == owner]
            for lease in lent:
                self.take_back(lease)
        problems = []
        for name, close in reversed(list(owned.items())):
            try:
                close()
            except Exception as error:
                problems.append((name, f"{type(error).__name__}: {error}"))
        count = len(owned) + len(lent)
        if problems:
            raise ResourcesNotClosedError(owner=owner, closed=count - len(problems), problems=tuple(problems))
        return count

    def usage(self, owner: str) -> OwnerUsage:
        with self._free:
            limit, reserve = self._limits.get(owner, (None, 0))
            mine = self._held(owner)
            things = len(self._owned.get(owner, ()))
            return OwnerUsage(owner, sum(map(self._counted, mine)), limit, reserve, len(mine), things)

    def statistics(self) -> tuple[PoolStatistics, ...]:
        with self._free:
            return tuple(self._of_tier(*each) for each in self._tiers)

    def _of_tier(self, tier: str, slot: int, slots: int) -> PoolStatistics:
        mine = [each.record for each in self._lent.values() if each.record.tier == tier]
        lent = sum(map(self._counted, mine))
        internal = 1 - sum(each.requested for each in mine) / lent if lent else 0.0
        return PoolStatistics(
            tier, slot, slots, len(mine), self._most[tier], self._count[tier], self._refused[tier], 0,
            external=0.0, internal=internal, idle=0.0,
        )  # fmt: skip

    def owners(self) -> list[str]:
        with self._free:
            return [owner for owner, things in self._owned.items() if things]


# -- errors ------------------------------------------------------------------------------------------------------------


_KNOWN = "plainly reported"


def _counted_in(record: ErrorRecord) -> Iterator[ErrorRecord]:
    if record.number:
        yield record
    for each in record.members:
        yield from _counted_in(each)


class PlainErrors:
    """Routes in a dictionary; what was reported is known by the error itself."""

    def __init__(self, monitoring: IMonitoringManager | None = None) -> None:
        self._monitoring, self._lock = monitoring, threading.RLock()
        self._routes: dict[str, str] = {}
        self._sinks: dict[str, Callable[[ErrorRecord], object]] = {}
        self._recent: deque[ErrorRecord] = deque(maxlen=100)
        self._seen = self._delivered = 0
        self._components, self._kinds = Counter[str](), Counter[str]()

    def route(self, component: str, to: str) -> None:
        with self._lock:
            at: str | None = to
            while at is not None:
                if at == component:
                    raise RouteError(component=component, to=to, problem="that closes a circle")
                at = self._routes.get(at)
            self._routes[component] = to

    def sink(self, name: str, receive: Callable[[ErrorRecord], object]) -> None:
        with self._lock:
            self._sinks[name] = receive

    def report(self, error: BaseException, *, component: str, severity: str = "error") -> ErrorRecord:
        with self._lock:
            known: ErrorRecord | None = error.__dict__.get(_KNOWN, {}).get(self)
            if known is not None:
                return known
            record = self._captured(error, component, severity, counted=True)
            self._recent.append(record)
            path = [component]
            while path[-1] in self._routes:
                path.append(self._routes[path[-1]])
            receive = self._sinks.get(path[-1])
        if receive is not None:
            with suppress(Exception):
                receive(replace(record, route=tuple(path)))
                with self._lock:
                    self._delivered += len(list(_counted_in(record)))
        return record

    def _captured(self, error: BaseException, component: str, severity: str, *, counted: bool) -> ErrorRecord:
        inner = getattr(error, "exceptions", ())
        number = 0
        if counted and not inner:
            self._seen += 1
            number = self._seen
            self._components[component] += 1
            self._kinds[type(error).__qualname__] += 1
        causes = []
        at = error.__cause__ or error.__context__
        while at is not None:
            causes.append(self._captured(at, component, severity, counted=False))
            at = None
        record = ErrorRecord(
            number, time.time(), type(error).__qualname__, str(error), component, type(error).__qualname__,
            threading.current_thread().name, severity=severity, causes=tuple(causes),
            members=tuple(self._captured(each, component, severity, counted=counted) for each in inner),
            frames=tuple(
                FrameRecord(frame.filename, frame.lineno or 0, frame.name)
                for frame in traceback.extract_tb(error.__traceback__)
            ),
        )  # fmt: skip
        if counted:
            error.__dict__.setdefault(_KNOWN, weakref.WeakKeyDictionary())[self] = record
            if not inner and self._monitoring is not None:
                self._monitoring.error_seen(record)
        return record

    def recent(self, component: str | None = None) -> tuple[ErrorRecord, ...]:
        with self._lock:
            return tuple(each for each in self._recent if component in (None, each.component))

    def statistics(self) -> ErrorStatistics:
        with self._lock:
            return ErrorStatistics(
                self._seen, self._delivered, 0, 0, self._seen - self._delivered, 0.0,
                tuple(self._components.items()), tuple(self._kinds.items()),
            )  # fmt: skip


# -- threads -----------------------------------------------------------------------------------------------------------

PRIORITIES = ("system", "processing", "monitoring")


class _Task:
    def __init__(self, function: Callable[[], Any], priority: int, channel: str | None) -> None:
        self.future: _Future = _Future()
        self.context, self.function = copy_context(), function
        self.priority, self.channel, self.queued = priority, channel, time.monotonic()


class _Future(Future[Any]):
    """Whoever waits for it in a worker runs it, if nobody has begun."""

    help: Callable[[], None] | None = None

    def result(self, timeout: float | None = None) -> Any:
        if self.help is not None and not self.done():
            self.help()
        return super().result(timeout)


class PlainThreads:
    """Three queues, one condition, and threads that are made while there are too few."""

    def __init__(self, workers: int = 20) -> None:
        self._most, self._wake = workers, threading.Condition()
        self._queues: tuple[deque[_Task], ...] = tuple(deque() for _ in PRIORITIES)
        self._behind: dict[str, deque[_Task]] = {}  # of a channel: what waits for the one before it
        self._workers: list[threading.Thread] = []
        self._idle = self._turn = self._busy = 0
        self._ended = False
        self._counts = {"submitted": 0, "completed": 0, "failed": 0, "cancelled": 0}
        self._waits = [0.0, 0.0, 0.0]

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self.submit_with(partial(function, *args, **kwargs))

    def submit_with(
        self, function: Callable[[], Any], *, priority: str = "processing", channel: str | None = None
    ) -> Future[Any]:
        if priority not in PRIORITIES:
            raise ValueError(f"no priority {priority!r}")
        task = _Task(function, PRIORITIES.index(priority), channel)
        with self._wake:
            if self._ended:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._counts["submitted"] += 1
            if channel is None:
                task.future.help = partial(self._help, task)
            if channel is not None and channel in self._behind:
                self._behind[channel].append(task)
            else:
                if channel is not None:
                    self._behind[channel] = deque()
                self._queue(task)
        return task.future

    def _queue(self, task: _Task) -> None:
        self._queues[task.priority].append(task)
        if self._idle:
            self._wake.notify()
        elif len(self._workers) < self._most:
            thread = threading.Thread(target=self._work, name=f"plain-{len(self._workers)}", daemon=True)
            self._workers.append(thread)
            thread.start()

    def _next(self) -> _Task | None:
        """The first of the highest priority; each ninth time of the lowest, so that nothing waits for ever."""
        self._turn += 1
        order = self._queues if self._turn % 9 else tuple(reversed(self._queues))
        return next((queue.popleft() for queue in order if queue), None)

    def _help(self, task: _Task) -> None:
        if threading.current_thread() not in self._workers:
            return
        with self._wake:
            queue = self._queues[task.priority]
            if task not in queue:
                return
            queue.remove(task)
        self._run(task)

    def _work(self) -> None:
        while True:
            with self._wake:
                while (task := self._next()) is None:
                    if self._ended:
                        return
                    self._idle += 1
                    self._wake.wait()
                    self._idle -= 1
            self._run(task)
            del task

    def _run(self, task: _Task) -> None:
        with self._wake:
            self._waits[task.priority] = max(self._waits[task.priority], time.monotonic() - task.queued)
        try:
            if not task.future.set_running_or_notify_cancel():
                self._count("cancelled")
                return
            with self._wake:
                self._busy += 1
            try:
                result = task.context.run(task.function)
            except BaseException as error:
                self._count("completed", "failed")
                task.future.set_exception(error)
            else:
                self._count("completed")
                task.future.set_result(result)
        finally:
            if task.channel is not None:
                with self._wake:
                    behind = self._behind[task.channel]
                    if behind:
                        self._queue(behind.popleft())
                    else:
                        del self._behind[task.channel]

    def _count(self, *became: str) -> None:
        with self._wake:
            self._busy -= "completed" in became
            for each in became:
                self._counts[each] += 1

    def statistics(self) -> ThreadPoolStatistics:
        with self._wake:
            queued = tuple(map(len, self._queues))
            return ThreadPoolStatistics(
                len(self._workers), self._most, self._busy, (queued[0], queued[1], queued[2]),
                **self._counts, waits=(self._waits[0], self._waits[1], self._waits[2]),
            )  # fmt: skip

    def threads(self) -> tuple[ThreadRecord, ...]:
        return tuple(ThreadRecord(each.name, each.ident, each.native_id, each.daemon) for each in threading.enumerate())

    def locks(self) -> tuple[LockStatistics, ...]:
        return ()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._wake:
            self._ended = True
            if cancel_futures:
                for queue in (*self._queues, *self._behind.values()):
                    self._counts["cancelled"] += sum(task.future.cancel() for task in queue)
                    queue.clear()
            self._wake.notify_all()
        if wait:
            for each in self._workers:
                if each is not threading.current_thread():
                    each.join()


# -- monitoring --------------------------------------------------------------------------------------------------------


class PlainMonitoring:
    """Everything that was told, in dictionaries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[tuple[str, str], float] = {}
        self._gauges: dict[tuple[str, str], float] = {}
        self._values: dict[tuple[str, str, str], list[float]] = {}

    def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
        self.count("transitions", component=record.machine)
        self.record("transition time", seconds, unit="seconds", component=record.machine)
        self.record("time in a state", seconds_in_source, unit="seconds", component=record.machine)

    def error_seen(self, record: ErrorRecord) -> None:
        self.count("errors", component=record.component)

    def count(self, name: str, value: float = 1, *, component: str = "") -> None:
        if value >= 0 and math.isfinite(value):
            with self._lock:
                self._counters[name, component] = self._counters.get((name, component), 0) + value

    def gauge(self, name: str, value: float, *, component: str = "") -> None:
        if math.isfinite(value):
            with self._lock:
                self._gauges[name, component] = value

    def record(self, name: str, value: float, *, unit: str, component: str = "") -> None:
        if math.isfinite(value):
            with self._lock:
                self._values.setdefault((name, component, unit), []).append(value)

    def snapshot(self) -> MonitoringSnapshot:
        with self._lock:
            return MonitoringSnapshot(
                time.time(),
                tuple((*key, value) for key, value in self._counters.items()),
                tuple((*key, value) for key, value in self._gauges.items()),
                tuple(_distribution(*key, values) for key, values in self._values.items()),
            )


def _distribution(name: str, component: str, unit: str, told: list[float]) -> Distribution:
    values = sorted(told)
    ranks = tuple((share, values[min(int(share * len(values)), len(values) - 1)]) for share in (0.5, 0.99))
    return Distribution(name, component, unit, len(values), sum(values), values[0], values[-1], ranks)


# -- cleanup -----------------------------------------------------------------------------------------------------------

PHASES = ("stop-intake", "drain", "flush", "release", "verify")


class PlainCleanup:
    """Steps in a dictionary, sorted when they are run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[str, tuple[CleanupStep, Callable[[], object]]] = {}
        self._begun: set[str] = set()

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        if step.phase not in PHASES:
            raise ValueError(f"no phase {step.phase!r}")
        with self._lock:
            if step.name in self._steps:
                raise CleanupOrderError(step=step.name, problem="there is one of that name")
            if step.name in self._before({step.name: step.after}, step.name):
                raise CleanupOrderError(step=step.name, problem="it would come after itself")
            self._steps[step.name] = (step, run)

    def _before(self, more: Mapping[str, tuple[str, ...]], name: str) -> set[str]:
        """All that a step comes after, through others."""
        after = {each: step.after for each, (step, _) in self._steps.items()} | dict(more)
        found: set[str] = set()
        todo = list(after.get(name, ()))
        while todo:
            each = todo.pop()
            if each not in found:
                found.add(each)
                todo += after.get(each, ())
        return found

    def _chosen(self, channel: str | None) -> list[str]:
        """Names of the steps of a channel with what they come after, in an order."""
        names = [
            name for name, (step, _) in self._steps.items()
            if channel is None or step.channel == channel or step.channel.startswith(f"{channel}/")
        ]  # fmt: skip
        wanted = {*names, *(each for name in names for each in self._before({}, name))} & self._steps.keys()
        left = sorted(wanted - self._begun, key=lambda name: (PHASES.index(self._steps[name][0].phase),
                                                              self._steps[name][0].last))  # fmt: skip
        order: list[str] = []
        while left:
            ready = next(name for name in left if not self._before({}, name) & set(left))
            left.remove(ready)
            order.append(ready)
        return order

    def run(self, *, channel: str | None = None, deadline: float | None = None) -> CleanupReport:
        began = time.monotonic()
        with self._lock:
            order = self._chosen(channel)
            self._begun |= {*order}
        done, failed, hung = [], [], []
        interrupted: BaseException | None = None
        for name in order:
            step, run = self._steps[name]
            times = [] if step.deadline is None else [step.deadline]
            if deadline is not None:
                times.append(max(deadline - (time.monotonic() - began), 0.0))
            ended, problem = _within(run, min(times, default=None), here=step.here)
            if problem is not None and not isinstance(problem, Exception):
                interrupted = interrupted or problem
            if not ended:
                hung.append(name)
            elif problem is not None:
                failed.append((name, f"{type(problem).__name__}: {problem}"))
            else:
                done.append(name)
        if interrupted is not None:
            raise interrupted
        return CleanupReport(tuple(done), tuple(failed), tuple(hung), (), time.monotonic() - began)


def _within(run: Callable[[], object], seconds: float | None, *, here: bool) -> tuple[bool, BaseException | None]:
    """Whether a call came to its end in time, and what it raised."""
    problems: list[BaseException] = []
    began = time.monotonic()

    def call() -> None:
        try:
            run()
        except BaseException as error:
            problems.append(error)

    if here or seconds is None:
        call()
        in_time = seconds is None or time.monotonic() - began <= seconds
    else:
        context = copy_context()
        thread = threading.Thread(target=lambda: context.run(call), daemon=True)
        thread.start()
        thread.join(seconds)
        in_time = not thread.is_alive()
    return in_time, problems[0] if problems and in_time else None


# -- components --------------------------------------------------------------------------------------------------------


class _Component:
    def __init__(
        self, spec: ComponentSpec, start: Callable[[], object], stop: Callable[[], object],
        healthy: Callable[[], bool] | None,
    ) -> None:  # fmt: skip
        self.spec, self.start, self.stop, self.healthy = spec, start, stop, healthy
        self.state = "stopped"
        self.problem: str | None = None
        self.restarts: list[float] = []
        self.restarted = 0


class PlainComponents:
    """Components in a dictionary, in the order they were registered in."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._all: dict[str, _Component] = {}

    def register(
        self,
        spec: ComponentSpec,
        *,
        start: Callable[[], object],
        stop: Callable[[], object],
        healthy: Callable[[], bool] | None = None,
    ) -> None:
        if not spec.name:
            raise ComponentSpecError(component=spec.name, problem="it has no name")
        with self._lock:
            if spec.name in self._all:
                raise DuplicateComponentError(component=spec.name)
            self._all[spec.name] = _Component(spec, start, stop, healthy)
            if spec.name in self._needed(spec.name):
                del self._all[spec.name]
                raise ComponentCycleError(component=spec.name, cycle=(spec.name, *spec.needs))

    def _needed(self, name: str) -> set[str]:
        """All that it needs, through others."""
        found: set[str] = set()
        todo = list(self._all[name].spec.needs)
        while todo:
            each = todo.pop()
            if each not in found:
                found.add(each)
                todo += self._all[each].spec.needs if each in self._all else ()
        return found

    def _order(self) -> list[str]:
        left, order = list(self._all), list[str]()
        while left:
            ready = next(name for name in left if not self._needed(name) & set(left))
            left.remove(ready)
            order.append(ready)
        return order

    def _dependents(self, names: set[str]) -> set[str]:
        return {each for each in self._all if each in names or self._needed(each) & names}

    def _get(self, name: str) -> _Component:
        if name not in self._all:
            raise UnknownComponentError(component=name)
        return self._all[name]

    def start(self, name: str | None = None) -> None:
        with self._lock:
            wanted = set(self._all) if name is None else {name, *self._needed(self._get(name).spec.name)}
            for each in sorted(wanted):
                for need in self._get(each).spec.needs:
                    if need not in self._all:
                        raise UnknownComponentError(component=need, needed_by=each)
            self._start([each for each in self._order() if each in wanted], "start")

    def _start(self, names: list[str], action: str) -> None:
        started: list[str] = []
        for name in names:
            it = self._all[name]
            if it.state == "running":
                continue
            it.state = "starting"
            try:
                it.start()
            except BaseException as error:
                it.state, problem = "failed", f"{type(error).__name__}: {error}"
                it.problem = problem
                others = self._stop(list(reversed(started)))
                if not isinstance(error, Exception):
                    raise
                raise StartFailedError(
                    component=name, action=action, problems=((name, problem), *others), causes=(error,)
                ) from error
            it.state, it.problem = "running", None
            started.append(name)

    def stop(self, name: str | None = None) -> None:
        with self._lock:
            wanted = set(self._all) if name is None else self._dependents({self._get(name).spec.name})
            problems = self._stop([each for each in reversed(self._order()) if each in wanted])
            if problems:
                raise StopFailedError(component=problems[0][0], action="stop", problems=tuple(problems))

    def _stop(self, names: list[str]) -> list[tuple[str, str]]:
        problems = []
        interrupted: BaseException | None = None
        for name in names:
            it = self._all[name]
            if it.state != "running":
                continue
            it.state = "stopping"
            try:
                it.stop()
                it.state = "stopped"
            except BaseException as error:
                it.state, it.problem = "failed", f"{type(error).__name__}: {error}"
                problems.append((name, it.problem))
                interrupted = interrupted or (None if isinstance(error, Exception) else error)
        if interrupted is not None:
            raise interrupted
        return problems

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        with self._lock:
            it = self._get(name)
            now = time.monotonic()
            it.restarts = [each for each in it.restarts if now - each < it.spec.within]
            order = self._order()
            along = self._dependents({name})
            if it.spec.strategy == "rest-for-one":
                along = self._dependents({name, *order[order.index(name) + 1 :]})
            running = [each for each in order if each in along and (each == name or self._all[each].state == "running")]
            if len(it.restarts) >= it.spec.restarts:
                self._stop([each for each in reversed(order) if each in self._dependents({name})])
                it.state, it.problem = "failed", "it was restarted too often"
                return False
            it.restarts.append(now)
            it.restarted += 1
            self._stop(list(reversed(running)))
            needed = self._needed(name)
            self._start([each for each in order if each in needed or each in running], "restart")
            return True

    def status(self, name: str) -> ComponentRecord:
        with self._lock:
            it = self._get(name)
            return ComponentRecord(name, it.state, it.spec.needs, it.restarted, problem=it.problem)

    def components(self) -> tuple[ComponentRecord, ...]:
        with self._lock:
            return tuple(map(self.status, self._order()))


# -- tests -------------------------------------------------------------------------------------------------------------


class PlainEnvironment:
    """One manager of each kind, made for it."""

    def __init__(self, spec: EnvironmentSpec) -> None:
        self.name = spec.name
        self.monitoring: IMonitoringManager = PlainMonitoring()
        self.state: IStateManager = PlainStates(self.monitoring)
        self._resources = PlainResources(most=spec.lease)
        self._closed: tuple[str, ...] | None = None
        self.errors: IErrorManager = PlainErrors(self.monitoring)
        self.threads: IThreadManager = PlainThreads(spec.threads or 4)
        self.components: IComponentManager = PlainComponents()
        self.cleanup: ICleanupManager = PlainCleanup()

    @property
    def resources(self) -> IResourceManager:
        return self._resources

    def left(self) -> tuple[str, ...]:
        return tuple(
            f"{each.requested} bytes of {each.owner}, taken at {each.where}" for each in self._resources.leases()
        )

    def close(self) -> tuple[str, ...]:
        if self._closed is not None:
            return self._closed
        left = list(self.left())
        owners = {each.owner for each in self._resources.leases()} | set(self._resources.owners())
        release: list[Callable[[], object]] = [
            partial(self._resources.release_owner, owner) for owner in sorted(owners)
        ]
        ends: list[Callable[[], object]] = [self.components.stop, self.cleanup.run, self.threads.shutdown]
        for end in (*ends, *release):
            try:
                end()
            except Exception as error:
                left.append(f"{type(error).__name__}: {error}")
        self._closed = tuple(left)
        return self._closed


class PlainTests:
    """Environments in a dictionary."""

    __test__ = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, tuple[PlainEnvironment, EnvironmentRecord]] = {}

    def open_environment(self, spec: EnvironmentSpec) -> EnvironmentRecord:
        began = time.perf_counter()
        with self._lock:
            if spec.name in self._open:
                raise DuplicateEnvironmentError(environment=spec.name)
            made = PlainEnvironment(spec)
            record = EnvironmentRecord(spec.name, True, time.perf_counter() - began)
            self._open[spec.name] = (made, record)
            return record

    def _get(self, name: str) -> tuple[PlainEnvironment, EnvironmentRecord]:
        with self._lock:
            if name not in self._open:
                raise UnknownEnvironmentError(environment=name)
            return self._open[name]

    def environment(self, name: str) -> Environment:
        return self._get(name)[0]

    def verify_environment(self, name: str) -> EnvironmentRecord:
        made, record = self._get(name)
        return replace(record, left=made.left())

    def close_environment(self, name: str) -> EnvironmentRecord:
        began = time.perf_counter()
        made, record = self._get(name)
        with self._lock:
            self._open.pop(name, None)
        left = made.close()
        return replace(record, open=False, cleanup_seconds=time.perf_counter() - began, left=left)

    def environments(self) -> tuple[EnvironmentRecord, ...]:
        with self._lock:
            return tuple(record for _, record in self._open.values())

    def close(self) -> None:
        for record in self.environments():
            self.close_environment(record.name)


# -- factories ---------------------------------------------------------------------------------------------------------


def exact() -> PlainResources:
    """Bytes as they were asked for."""
    return PlainResources(exact=True)


def other_tiers() -> PlainResources:
    """Other buffers than ours has."""
    return PlainResources(OTHER)


PLAIN: dict[str, Callable[..., Any]] = {
    "state": PlainStates,
    "resources": PlainResources,
    "errors": PlainErrors,
    "threads": PlainThreads,
    "monitoring": PlainMonitoring,
    "components": PlainComponents,
    "tests": PlainTests,
    "cleanup": PlainCleanup,
}

if TYPE_CHECKING:
    _state: type[IStateManager] = PlainStates
    _resources: type[IResourceManager] = PlainResources
    _errors: type[IErrorManager] = PlainErrors
    _threads: type[IThreadManager] = PlainThreads
    _monitoring: type[IMonitoringManager] = PlainMonitoring
    _components: type[IComponentManager] = PlainComponents
    _tests: type[ITestManager] = PlainTests
    _cleanup: type[ICleanupManager] = PlainCleanup
