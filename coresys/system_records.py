"""Records of the core systems. As ``coresys.records``, and apart from it: the plugin needs none of these, and making
them took 10 to 20 ms of the start of each of its processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from coresys.records import Location


@dataclass(frozen=True, slots=True)
class TransitionRecord:
    """One transition that was made: number ``sequence`` of its machine (the first is 1, and none is left out).

    ``time`` is the time of day in seconds since 1970. ``cause`` and ``actor`` are what the caller gave, None where
    nothing was. ``event`` is ``rollback`` or ``error`` where no event led here but going back, or a failure.
    """

    machine: str
    table: str
    sequence: int
    time: float
    event: str
    source: str
    target: str
    cause: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class PendingTimer:
    """A timer that is armed: ``event`` is due at ``due`` (seconds since 1970) if ``state`` is not left before."""

    state: str
    event: str
    due: float


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """Where a machine stands: its state since ``since`` (seconds since 1970), after ``sequence`` transitions.

    ``last`` is the last of them, where there was one. ``snapshots`` are label, state and sequence of each.
    """

    name: str
    table: str
    state: str
    sequence: int
    since: float
    last: TransitionRecord | None = None
    timers: tuple[PendingTimer, ...] = ()
    snapshots: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class StateStatistics:
    """What a state manager holds and did: machines by table and state, and events by what became of them."""

    machines: int
    transitions: int
    refused: int
    failed: int
    in_state: tuple[tuple[str, str, int], ...] = ()  # table, state, machines


@dataclass(frozen=True, slots=True)
class StateDefinition:
    """A transition table as plain values, for whoever holds machines by other means than ours.

    ``transitions`` are event, source and target of each; from one state an event leads to one other. What makes a table
    wrong is said at ``IStateManager.define``.
    """

    name: str
    states: tuple[str, ...]
    initial: str
    transitions: tuple[tuple[str, str, str], ...]
    final: tuple[str, ...] = ()
    error: str | None = None


class FrameRecord(NamedTuple):
    """One frame of a traceback, outermost first in its record; ``values`` are names and shortened, masked values.

    A tuple, for dozens are made while an error is on its way: a frozen dataclass takes five times as long to make.
    """

    path: str
    line: int
    function: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """An exception as values: nothing in here keeps the exception, a frame or a traceback alive.

    ``number`` counts the errors of a manager; 0: not counted, as groups are not (their members are), nor causes that
    nobody reported. ``fingerprint`` is the same for errors of one kind from one place. ``route`` names the components
    that it goes through, the one it arose in first, the sink last. ``causes`` are what it was raised from, or while
    handling, the nearest first; ``members`` those of an exception group. ``context`` are the selected context
    variables. ``frames_left_out`` and ``errors_left_out`` (causes and members) say what the bounds cut off.
    """

    number: int
    time: float  # seconds since 1970
    kind: str  # module and qualified name of the class; the name alone of those built in
    message: str
    component: str
    fingerprint: str
    thread: str
    task: str | None = None
    frames: tuple[FrameRecord, ...] = ()
    causes: tuple[ErrorRecord, ...] = ()
    members: tuple[ErrorRecord, ...] = ()
    context: tuple[tuple[str, str], ...] = ()
    route: tuple[str, ...] = ()
    severity: str = "error"
    frames_left_out: int = 0
    notes: tuple[str, ...] = ()
    errors_left_out: int = 0


@dataclass(frozen=True, slots=True)
class ErrorStatistics:
    """Errors seen since the start, by component and kind; rates are errors per second over the last minute.

    ``delivered`` reached a sink, ``undelivered`` had a route that led nowhere, or a sink that raised; together they are
    all that were seen. ``recovered`` counts errors that a procedure ended, ``escalated`` steps along a path that one
    took. What is beyond the bound on names is summed up under ``(others)``.
    """

    seen: int
    delivered: int
    recovered: int
    escalated: int
    undelivered: int
    rate: float
    by_component: tuple[tuple[str, int], ...] = ()
    by_kind: tuple[tuple[str, int], ...] = ()
    rate_by_component: tuple[tuple[str, float], ...] = ()
    rate_by_kind: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class LockStatistics:
    """One lock since it was made. Times are in seconds.

    ``rank`` is its index in its hierarchy, None for a lock that has none. ``contended`` are acquisitions that had to
    wait, ``waited`` the time they did, ``waiting`` how many do now. ``held_sampled`` is the mean time it was held, of
    ``samples`` acquisitions that were timed: a sample, not a sum. ``taken_at`` is where its holder took it, as
    ``file:line``; None where nobody holds it, or the place is not known.
    """

    name: str
    rank: int | None
    acquired: int
    contended: int
    waited: float
    longest_wait: float
    timeouts: int
    held_sampled: float | None
    samples: int
    holder: str | None = None
    waiting: int = 0
    taken_at: str | None = None


@dataclass(frozen=True, slots=True)
class ThreadPoolStatistics:
    """An executor: its workers, what is queued by priority (system, processing, monitoring), and what became of tasks.

    ``completed`` are all that were run to their end, ``failed`` those of them that raised. ``waits`` are the longest
    time that a task of each priority was queued, in seconds, since the start.
    """

    workers: int
    most_workers: int
    busy: int
    queued: tuple[int, int, int]
    submitted: int
    completed: int
    failed: int
    cancelled: int
    waits: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """One thread: processor time, context switches and time in the run queue so far; None where not measured."""

    name: str
    ident: int | None
    native_id: int | None
    daemon: bool
    cpu_seconds: float | None = None
    voluntary_switches: int | None = None
    involuntary_switches: int | None = None
    run_queue_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A buffer that is lent: to whom, how large it is, how much was asked for, and where that was.

    ``size`` is that of the buffer, ``requested`` or more, and ``tier`` the name of the tier that it is of.
    """

    number: int
    owner: str
    tier: str
    size: int
    requested: int
    where: Location | None = None


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """One tier of buffers, of ``slot`` bytes each. ``external``, ``internal`` and ``idle`` are shares from 0 to 1.

    ``refused`` are requests for a buffer of this size that were refused, whether none was free or its owner may have no
    more. External: free bytes that are of no use to requests that were refused; 0 where free buffers take no memory.
    Internal: of what is lent, what was not asked for; 0 where a lease counts for what was asked for. Idle: touched
    before and not lent now; 0 where memory goes back at once.
    """

    tier: str
    slot: int
    slots: int
    busy: int
    most_busy: int
    leases: int
    refused: int
    overflowed: int
    external: float
    internal: float
    idle: float


@dataclass(frozen=True, slots=True)
class AllocationRecord:
    """Requests of one owner for buffers of one tier so far: how many got one, and how many were refused.

    A tier is a class of sizes: what is larger than the slots of the one before, and no larger than ``slot`` bytes.
    ``owner`` is ``(others)`` for those that are not told apart any more.
    """

    owner: str
    tier: str
    slot: int
    leases: int
    refused: int


@dataclass(frozen=True, slots=True)
class OwnerUsage:
    """What an owner (a component, channel or environment) holds, and may hold, in bytes; ``limit`` None: no limit.

    ``lease_granted``: what it may hold beside its limit, by explicit grants. ``heap``: what it holds there, where that
    was measured; an account apart from that of leases. ``leased``: what its leases count for, see IResourceManager.
    """

    owner: str
    leased: int
    lease_limit: int | None
    lease_reserve: int
    leases: int
    resources: int = 0
    lease_granted: int = 0
    heap: HeapUsage | None = None


@dataclass(frozen=True, slots=True)
class HeapUsage:
    """What an owner holds on the heap, in bytes. ``held`` is None where it is not known, and ``why`` says why not.

    ``known`` is what was measured of it all the same, ``most`` the most of that at one time. ``method``: ``roots`` or
    ``blocks``, empty where there was none. ``verdict``, of ``most`` and ``limit``: within, near (from 90 % on), over,
    not_measured.
    """

    owner: str
    held: int | None
    known: int
    most: int
    limit: int | None
    reserve: int
    method: str
    verdict: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class CheckoutRecord:
    """A connection that is out, or was lost: of which pool, with whom, taken where, and for how many seconds."""

    number: int
    pool: str
    owner: str
    seconds: float
    where: Location | None = None


@dataclass(frozen=True, slots=True)
class ConnectionStatistics:
    """A pool of connections. ``open`` are those that exist: busy ones, idle ones, and those being made or closed.

    Since the pool was made: ``made``, ``broken`` (found so by a check, or told), ``expired`` (too old, or idle for too
    long), ``leaked`` (lost without being given back), ``refused`` (not had within the time, or for a limit),
    ``failed`` (attempts to make one).
    """

    pool: str
    most: int
    open: int
    busy: int
    idle: int
    waiting: int
    most_busy: int
    checkouts: int
    made: int
    broken: int
    expired: int
    leaked: int
    refused: int
    failed: int


@dataclass(frozen=True, slots=True)
class OwnedRecord:
    """Something that is not a buffer in an owner's hands, and where it was registered."""

    name: str
    owner: str
    where: Location | None = None


@dataclass(frozen=True, slots=True)
class LeftResources:
    """What was found when a part of the resources was closed: each with its owner, and the place that it comes from.

    ``leases`` were lent still, ``dropped`` had been lost without being given back; ``resources`` were registered
    still. All was taken back and closed then, but for ``in_use`` (leases on whose memory something stands) and
    ``problems`` (what failed to close, as owner, name and error).
    """

    channel: str
    leases: tuple[LeaseRecord, ...] = ()
    dropped: tuple[LeaseRecord, ...] = ()
    resources: tuple[OwnedRecord, ...] = ()
    in_use: tuple[LeaseRecord, ...] = ()
    problems: tuple[tuple[str, str, str], ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether all had been given back, and nothing went wrong."""
        return not (self.leases or self.dropped or self.resources or self.in_use or self.problems)

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it, a line each."""
        used = {record.number for record in self.in_use}
        return (
            *(
                f"lease {each.number} of {each.owner!r}, {each.requested} bytes{_from(each.where, 'taken')}"
                f"{'; it could not be taken back, for something uses its memory' if each.number in used else ''}"
                for each in self.leases
            ),
            *(
                f"lease {each.number} of {each.owner!r}, {each.requested} bytes{_from(each.where, 'taken')}, was lost "
                "without being given back"
                for each in self.dropped
            ),
            *(f"resource {each.name!r} of {each.owner!r}{_from(each.where, 'registered')}" for each in self.resources),
            *(f"resource {name!r} of {owner!r} failed to close: {error}" for owner, name, error in self.problems),
        )


def _from(where: Location | None, what: str) -> str:
    return "" if where is None else f", {what} at {where}"


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """A component: its name, those that have to run before it, and how often it may be restarted within a time."""

    name: str
    needs: tuple[str, ...] = ()
    restarts: int = 1
    within: float = 5.0  # seconds
    strategy: str = "one-for-one"  # or "rest-for-one": those started after it are restarted with it


@dataclass(frozen=True, slots=True)
class ComponentRecord:
    """Where a component stands; ``state`` is one of stopped, starting, running, stopping, failed."""

    name: str
    state: str
    needs: tuple[str, ...]
    restarted: int
    healthy: bool | None = None  # None: it has no health check, or was not asked since it started
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CleanupStep:
    """One step of a cleanup: what has to be done before it, its phase, and how long it may take, in seconds.

    ``here``: it has to run in the thread that runs the cleanup (what it closes belongs to that thread), where nothing
    can leave it behind; it is told as late where it overruns its deadline. ``last``: after all others of its phase,
    but for those that come after it: what the others stand on.
    """

    name: str
    phase: str = "release"  # stop-intake, drain, flush, release, verify
    after: tuple[str, ...] = ()
    deadline: float | None = None
    blocking: bool = False  # may hang: it is run on a thread of its own, also where it has no deadline
    channel: str = ""
    here: bool = False
    last: bool = False


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What became of a cleanup: names of steps in the order they ended, and the problems, by step.

    ``hung`` were left behind, each in a thread or a task; ``left`` is what the verification found to be still there,
    ``unmeasured`` what it could not look for, and why.
    """

    done: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    hung: tuple[str, ...]
    left: tuple[str, ...]
    seconds: float
    unmeasured: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all was done, nothing hung, and nothing was found to be left."""
        return not (self.failed or self.hung or self.left)


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """What a test's environment may use. Limits in bytes, of all its owners together; None: the default of whoever
    opens it.

    ``ranks`` is the order of its locks, outermost first.
    """

    name: str
    heap: int | None = None
    lease: int | None = None
    threads: int | None = None
    timeout: float | None = None  # seconds
    ranks: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """An environment that is open, or what was found when it was closed: ``left`` behind, and how long both took."""

    name: str
    open: bool
    setup_seconds: float
    cleanup_seconds: float | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Distribution:
    """Values that were recorded under one name: count, sum, extremes, and quantiles by their rank.

    ``buckets`` are upper edges, which are in them, and counts, the lowest first, without empty ones. ``refused`` were
    told and are no values: NaN, and the infinities.
    """

    name: str
    component: str
    unit: str
    count: int
    total: float
    least: float
    most: float
    quantiles: tuple[tuple[float, float], ...] = ()
    buckets: tuple[tuple[float, int], ...] = ()
    refused: int = 0


@dataclass(frozen=True, slots=True)
class MonitoringSnapshot:
    """Everything that a monitoring manager knows at a time (seconds since 1970); names with their component.

    ``refused`` were told and taken for nothing (no number, a counter that is to fall); ``left_out`` were told under
    names beyond the bound, and are summed up under ``(others)``. ``not_measured`` are what a sampler could not go on
    reading, and why.
    """

    time: float
    counters: tuple[tuple[str, str, float], ...] = ()
    gauges: tuple[tuple[str, str, float], ...] = ()
    distributions: tuple[Distribution, ...] = ()
    refused: int = 0
    left_out: int = 0
    not_measured: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GrowthVerdict:
    """Whether a series of memory readings grows by more than ``limit``; all rates in bytes per hour.

    ``verdict`` is ``growing`` (the interval from ``low`` to ``high`` is above the limit), ``steady`` (it is below), or
    ``unclear``, and ``why`` says why. ``rate`` is the estimate, of ``readings`` over ``seconds``. ``steps_out`` are
    single steps, in bytes, that were taken out before.
    """

    verdict: str
    rate: float
    low: float
    high: float
    limit: float
    readings: int
    seconds: float
    why: str = ""
    steps_out: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class AlarmRecord:
    """A threshold was crossed, for the ``number``-th time: ``value`` is what was seen above ``above``, at ``time``
    (seconds since 1970)."""

    alarm: str
    name: str
    component: str
    value: float
    above: float
    time: float
    number: int
