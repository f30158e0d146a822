"""What is measured of coordinators, built over managers of any making, and of whole systems of ours.

Each function returns what the criterion counts: faults in words, or a figure.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from coresys.coordinators.cleanup import CleanupCoordinator
from coresys.coordinators.component import ComponentCoordinator
from coresys.coordinators.views import ScopedStates
from coresys.errors.hierarchy import CoreSysError
from coresys.system_records import CleanupStep, ComponentSpec, EnvironmentSpec, ErrorRecord, StateDefinition
from pytest_coresys.subjects import close
from validation_suites.asking import attempt
from validation_suites.errors.measures import REQUEST, Arrived, Planted, raised
from validation_suites.running import PATIENCE, at_once, in_words
from validation_suites.state.measures import FLIP, failing_table, history_faults, storm_faults, takes_tables
from validation_suites.tally import counted

if TYPE_CHECKING:
    from coresys.coordinators.assembly import System
    from coresys.coordinators.monitoring import MonitoringCoordinator, SystemReport
    from coresys.interfaces import (
        ICleanupManager,
        IComponentManager,
        IResourceManager,
        IStateManager,
        Lease,
    )

OF_POOLS = ("busy", "refused", "overflowed", "external", "internal", "idle")
PHASES = ("stop-intake", "drain", "flush", "release", "verify")


# -- allocation patterns, usage, metrics -----------------------------------------------------------------------------


class Untold(NamedTuple):
    """What a report does not tell of requests: of each owner's, and of each tier's. ``why`` it was not asked for those
    of owners: its resources tell of none, and no protocol asks that of them."""

    faults: tuple[str, ...]
    why: str = ""


def missing_patterns(coordinator: MonitoringCoordinator, resources: IResourceManager) -> Untold:
    """Ask for buffers of every tier by several owners, some in vain: what the report does not tell of that."""
    wanted: dict[tuple[str, str], list[int]] = {}
    tiers = resources.statistics()
    for number, owner in enumerate(("uploads", "mail", "search"), 1):
        for tier in tiers:
            row = wanted.setdefault((owner, tier.tier), [0, 0])
            for _ in range(number):
                resources.lease(tier.slot, owner=owner, timeout=0).release()
                row[0] += 1
            resources.limit(owner, lease=0)
            with suppress(CoreSysError):
                resources.lease(tier.slot, owner=owner, timeout=0).release()
            row[1] += 1
            resources.limit(owner)
    report = coordinator.report()
    of_tiers = {each.tier: each.refused for each in report.pools}
    untold = tuple(f"tier {each.tier} tells of no refusals" for each in tiers if of_tiers.get(each.tier, 0) < 3)
    if not report.allocations:
        return Untold(untold, "the subject has no allocations() that tells what each owner asked for")
    found = {(each.owner, each.tier): [each.leases, each.refused] for each in report.allocations}
    faults = [
        f"{key}: {row} requests and refusals, told are {found.get(key)}"
        for key, row in wanted.items()
        if found.get(key) != row
    ]
    slots = {each.tier: each.slot for each in report.allocations}
    faults += [f"tier {tier.tier} has no size class" for tier in tiers if slots.get(tier.tier) != tier.slot]
    return Untold((*faults, *untold))


WAYS = ("size", "requested")
"""What a lease may count for, by its record."""


class _Ledger:
    """What a thread holds, as it knows itself: the buffers that it was given, by who has them."""

    def __init__(self, resources: IResourceManager, owners: Sequence[str], seed: int) -> None:
        self.resources, self.owners = resources, owners
        self.dice = random.Random(seed)
        self.held: list[tuple[str, Lease]] = []
        self.wrong: list[str] = []

    def step(self) -> None:
        """Take something, or give something back."""
        if self.held and self.dice.random() < 0.5:
            self.held.pop(self.dice.randrange(len(self.held)))[1].release()
            return
        owner, size = self.dice.choice(self.owners), self.dice.choice((100, 4096, 5000, 65536, 70_000))
        with suppress(CoreSysError):  # none is free, or it is over a limit: nothing is held then
            lease = self.resources.lease(size, owner=owner, timeout=0)
            self.held.append((owner, lease))
            record = lease.record
            if not (record.owner == owner and record.requested == size == len(lease.view) and record.size >= size):
                self.wrong.append(f"a lease of {size} bytes of {owner!r} is told as {record}")


def usage_error(
    resources: IResourceManager,
    look: Callable[[], Mapping[str, float]] | None = None,
    threads: int = 4,
    rounds: int = 20,
    ways: Sequence[str] = WAYS,
) -> tuple[float, str]:
    """The largest relative error of what is tracked, after each round of a random storm, and where that was.

    Compared are the bytes of each owner, the buffers of each tier, and, where ``look`` reads them, the gauges of
    monitoring, with what the threads that hold them know. A lease may count for all of its buffer, or for what was
    asked for of it: either is right, if it is so of all and throughout; the less wrong of the two is told. ``ways``:
    of a manager that says which of them it does.
    """
    owners = ("uploads", "mail", "search")
    ledgers = [_Ledger(resources, owners, seed) for seed in range(threads)]
    worst = dict.fromkeys(ways, (0.0, ""))

    def storm(ledger: _Ledger) -> None:
        for _ in range(100):
            ledger.step()

    for number in range(rounds):
        wrong = at_once([partial(storm, ledger) for ledger in ledgers])
        wrong += [fault for ledger in ledgers for fault in ledger.wrong]
        if wrong:
            return 1.0, wrong[0]
        gauges = None if look is None else look()
        for way, before in worst.items():
            worst[way] = max(before, _error(resources, ledgers, owners, way, gauges, number))
    for ledger in ledgers:
        for _, lease in ledger.held:
            lease.release()
    return min(worst.values())


def _error(
    resources: IResourceManager,
    ledgers: Sequence[_Ledger],
    owners: Sequence[str],
    way: str,
    gauges: Mapping[str, float] | None,
    number: int,
) -> tuple[float, str]:
    """The largest error as of now, where leases count by their ``size`` or by what was ``requested``; and where."""
    truth: dict[str, int] = dict.fromkeys(owners, 0)
    slots = {tier.tier: 0 for tier in resources.statistics()}
    for ledger in ledgers:
        for owner, lease in ledger.held:
            truth[owner] += getattr(lease.record, way)
            slots[lease.record.tier] = slots.get(lease.record.tier, 0) + 1
    tracked: dict[str, float] = {owner: resources.usage(owner).leased for owner in owners}
    if gauges is not None:  # which the coordinator reads off the records, by their size
        sizes = [(owner, lease.record.size) for ledger in ledgers for owner, lease in ledger.held]
        tracked |= {f"gauge of {owner}": gauges.get(owner, 0.0) for owner in owners}
        truth |= {f"gauge of {owner}": sum(size for other, size in sizes if other == owner) for owner in owners}
    truth |= {f"buffers of {tier}": count for tier, count in slots.items()}
    tracked |= {f"buffers of {tier}": 0.0 for tier in slots}
    tracked |= {f"buffers of {tier.tier}": tier.busy for tier in resources.statistics()}
    found = (0.0, "")
    for what, held in truth.items():
        error = abs(tracked[what] - held) / max(held, 1)
        if error > found[0]:
            found = (error, f"round {number}, {what}: {held} held, {tracked[what]:g} tracked")
    return found


def gauges_of(coordinator: MonitoringCoordinator, monitoring: Any) -> Mapping[str, float]:
    """What is leased by each owner, as monitoring has it after one more look."""
    coordinator.observe()
    return {component: value for name, component, value in monitoring.snapshot().gauges if name == "resources.leased"}


def exercise(system: System) -> object:
    """Use every kind of resource a little; returns a lock that was used, which is told of while somebody has it."""
    lock = system.threads.lock("stock", name="book")
    coordinator = system.coordinators.component
    coordinator.register(ComponentSpec("web"), start=lambda: None, stop=lambda: None)
    system.start()
    system.state.define("flip", FLIP)
    for _ in range(20):
        system.state.fire("flip", "go")
        with lock:
            system.threads.submit(pow, 2, 5).result()
    for tier in system.resources.statistics():
        with system.resources.lease(tier.slot, owner="web"):
            system.coordinators.monitoring.observe()
    return lock


def missing_metrics(
    report: SystemReport, tiers: Collection[str], locks: Collection[str], tables: Collection[str]
) -> list[str]:
    """What a report of a system that was used has no figures of: each tier, lock, table, component, and the threads.

    Of distributions the count, p50, p99 and the most; of the others how often they were used, how long was waited, and
    how many are in use.
    """
    faults = []
    pools = {each.tier: each for each in report.pools}
    for tier in tiers:
        pool = pools.get(tier)
        if pool is None or not (pool.leases > 0 < pool.most_busy and pool.slots > 0):
            faults.append(f"tier {tier}: {pool}")
    of_locks = {each.name: each for each in report.locks}
    for name in locks:
        lock = of_locks.get(name)
        if lock is None or lock.acquired == 0 or lock.waited < 0 or lock.longest_wait < 0:
            faults.append(f"lock {name}: {lock}")
    if report.threads.completed == 0 or len(report.threads.waits) != 3 or report.threads.workers == 0:
        faults.append(f"threads: {report.threads}")
    gauges = {(name, component) for name, component, _ in report.monitoring.gauges}
    needed = {
        ("threads.busy", ""),
        ("threads.completed", ""),
        *(("threads.longest_wait", each) for each in ("system", "processing", "monitoring")),
    }
    needed |= {(f"pools.{figure}", tier) for figure in OF_POOLS for tier in tiers}
    needed |= {("locks.waited", name) for name in locks}
    faults += [f"no gauge {name} of {component or 'all'}" for name, component in sorted(needed - gauges)]
    distributions = {(each.name, each.component): each for each in report.monitoring.distributions}
    for table in tables:
        found = distributions.get(("state.transition_time", table))
        shares = dict(found.quantiles) if found is not None else {}
        if found is None or found.count == 0 or not {0.5, 0.99} <= set(shares) or found.most < shares[0.5]:
            faults.append(f"transitions of {table}: {found}")
    if not any(name == "components.start_time" and each.count for (name, _), each in distributions.items()):
        faults.append("no start of a component has a time")
    return faults


# -- cleanup chains --------------------------------------------------------------------------------------------------


def broken_chains(
    cleanups: Callable[[], ICleanupManager],
    states: IStateManager,
    resources: IResourceManager,
    chains: int = 1000,
    seed: int = 4,
) -> list[str]:
    """Random chains of steps and owners, some of which fail: what was not begun once, in order, or was not told."""
    dice = random.Random(seed)
    faults: list[str] = []
    for number in range(chains):
        coordinator = CleanupCoordinator(cleanup=cleanups(), state=states, resources=resources, part=f"chain {number}")
        found: list[str] = []
        attempt(found, "a chain", partial(_run_chain, coordinator, resources, dice, found))
        faults += [f"chain {number}: {fault}" for fault in found]
        with suppress(Exception):
            coordinator.state.release("system")
        if len(faults) > 50:
            break
    return faults


def _run_chain(
    coordinator: CleanupCoordinator, resources: IResourceManager, dice: random.Random, faults: list[str]
) -> None:
    begun: list[str] = []
    names = [f"step {each}" for each in range(dice.randint(2, 8))]
    phases = dict(zip(names, sorted(dice.choices(range(5), k=len(names))), strict=True))
    before = [name for name in names if PHASES[phases[name]] != "verify"][-1:]  # nothing of "release" comes after that
    failing = {name for name in names if dice.random() < 0.3}
    after = {name: tuple(each for each in names[:at] if dice.random() < 0.4) for at, name in enumerate(names)}

    def run(name: str) -> None:
        begun.append(name)
        if name in failing:
            raise Planted(name)

    for name in dice.sample(names, len(names)):
        coordinator.add(CleanupStep(name, phase=PHASES[phases[name]], after=after[name]), partial(run, name))
    closed: list[str] = []
    resources.register("session", owner="upload", close=lambda: closed.append(",".join(begun)))
    coordinator.owner("upload", after=tuple(before))
    stray = resources.lease(100, owner="nobody's") if dice.random() < 0.3 else None
    report = coordinator.run()
    if stray is not None:
        stray.release()
    if len(report.left) != (stray is not None) or not all("nobody's" in line for line in report.left):
        faults.append(f"left are {report.left}, and {'one buffer was' if stray else 'nothing was'}")
    if sorted(begun) != names:
        faults.append(f"of {names} were begun {begun}")
        return
    place = {name: at for at, name in enumerate(begun)}
    faults += [f"{name} was begun before {each}" for name in names for each in after[name] if place[each] > place[name]]
    faults += [f"{b} of {PHASES[phases[b]]} after {a}" for a, b in pairwise(begun) if phases[a] > phases[b]]
    if {name for name, _ in report.failed} != failing:
        faults.append(f"{sorted(failing)} failed, and told are {report.failed}")
    if set(report.done) != {*names, "release upload"} - failing:
        faults.append(f"done are said to be {report.done}, of {names} and what upload held; {sorted(failing)} failed")
    if len(closed) != 1 or resources.usage("upload").resources:
        faults.append("what upload held was not closed once")
    elif before and before[0] not in closed[0].split(","):
        faults.append(f"what upload held was closed before {before[0]}")


# -- several machines at once ----------------------------------------------------------------------------------------

PARTS = ("web", "orders", "mail", "stock", "search")


def half_moved(manager: Any) -> list[str]:
    """A transition of five machines of five parts that fails at each of them in turn: all have moved, or none."""
    parts = {name: ScopedStates(manager, name) for name in PARTS}
    for part in parts.values():
        part.define("machine", FLIP)
    everybody = dict.fromkeys((f"{name}/machine" for name in PARTS), "go")

    def standing() -> dict[str, tuple[str, int, int]]:
        return {
            name: (part.state("machine"), part.describe("machine").sequence, len(part.history("machine")))
            for name, part in parts.items()
        }

    faults = _all_or_none(manager, everybody, standing, {name: f"{name}/machine" for name in PARTS})
    if takes_tables(manager):
        faults += _half_moved_inside(manager)
    return faults


def _all_or_none(
    manager: Any, everybody: Mapping[str, str], standing: Callable[[], dict[str, Any]], names: Mapping[str, str]
) -> list[str]:
    """Refused at each place."""
    faults = []
    for refusing in names:
        before = standing()
        events = {**everybody, names[refusing]: "no such event"}
        made = None
        with suppress(Exception):
            made = manager.fire_all(events)
        if made is not None:
            faults.append(f"{refusing} refuses, and {made} were made")
        faults += [
            f"{refusing} refuses, and {name} has moved" for name, was in before.items() if standing()[name] != was
        ]
    before = standing()
    records = attempt(faults, "all at once", partial(manager.fire_all, everybody)) or ()
    moved = standing()
    if len(records) != len(names):
        faults.append(f"of {len(names)} machines {len(records)} are said to have moved")
    return faults + [f"{name} has not moved once" for name in names if moved[name][1] != before[name][1] + 1]


def _half_moved_inside(manager: Any) -> list[str]:
    """Failing at each place, inside of the transition."""
    raising: dict[str, list[str]] = {name: [] for name in PARTS}
    for name in PARTS:
        manager.add(f"{name}/failing", failing_table(raising[name]))
    events = {f"{name}/failing": "go" for name in PARTS}
    faults = []
    for failing in PARTS:
        before = {name: manager.describe(name) for name in events}
        raising[failing].append("entry of the part")
        with suppress(Exception):
            faults.append(f"{failing} fails, and {manager.fire_all(events)} were made")
        raising[failing].clear()
        faults += [
            f"{failing} fails, and {name} has moved" for name in events if manager.describe(name) != before[name]
        ]
    return faults


# -- histories -------------------------------------------------------------------------------------------------------


def history_gaps(
    memory: IStateManager, disk: Callable[[], Any], each: int = 300, *, keeps_all: bool = True
) -> list[str]:
    """Threads fire at machines in memory and on disk; the second is closed and opened again, and goes on.

    ``disk`` opens it, with what it has of before. ``keeps_all``: it was told to keep as many; else that is its matter.
    """
    kept = 4 * each if keeps_all else 1
    faults = [f"memory: {fault}" for fault in storm_faults(memory, each=each, kept=kept)]
    first = disk()
    try:
        faults += [f"disk: {fault}" for fault in storm_faults(first, each=each, kept=kept)]
    finally:
        close(first)
    for times in (1, 2):
        again = disk()
        try:
            least = 4 * each + 10 * (times - 1)
            kept = least if keeps_all else 1
            faults += [f"recovered: {fault}" for fault in history_faults(again, "shared", FLIP, least=least, kept=kept)]
            for _ in range(10):
                again.fire("shared", "go")
            least += 10
            faults += [f"and on: {fault}" for fault in history_faults(again, "shared", FLIP, least=least, kept=kept)]
        finally:
            close(again)
    return faults


# -- rules -----------------------------------------------------------------------------------------------------------


def _table(*transitions: tuple[str, str, str], states: tuple[str, ...] = ("a", "b"), **more: Any) -> StateDefinition:
    return StateDefinition("wrong", states, more.pop("initial", "a"), transitions, **more)


BROKEN_TABLES: tuple[tuple[str, StateDefinition, str], ...] = (
    ("no states", _table(states=(), initial=""), "state"),
    ("an initial state that is none", _table(("go", "a", "b"), initial="lost"), "initial"),
    ("a target that is no state", _table(("go", "a", "b"), ("go", "b", "lost")), "lost"),
    ("a source that is no state", _table(("go", "a", "b"), ("go", "lost", "b")), "lost"),
    ("a state that is declared twice", _table(("go", "a", "b"), states=("a", "b", "b")), "b"),
    ("a state that no way leads to", _table(("go", "a", "b"), states=("a", "b", "lost")), "lost"),
    ("an event that leads to two states", _table(("go", "a", "b"), ("go", "a", "a")), "go"),
    ("a way out of a final state", _table(("go", "a", "b"), ("back", "b", "a"), final=("b",)), "b"),
    ("an error state that is none", _table(("go", "a", "b"), error="lost"), "lost"),
    ("an event without a name", _table(("", "a", "b")), ""),
)


def rules_not_checked(manager: IStateManager) -> list[str]:
    """Tables that are wrong: those that were taken, or refused without a word of what is wrong."""
    faults = []
    for number, (what, definition, word) in enumerate(BROKEN_TABLES):
        name = f"wrong {number}"
        try:
            manager.define(name, definition)
        except CoreSysError as error:
            if word not in str(error).replace("transition table 'wrong'", ""):
                faults.append(f"{what}: the error does not name {word!r}: {in_words(error)}")
        except Exception as error:
            faults.append(f"{what}: {in_words(error)}")
        else:
            faults.append(f"{what}: taken")
        if name in manager.names():
            faults.append(f"{what}: it was refused, and is held")
    return faults


def circles_not_refused(components: IComponentManager, cleanup: ICleanupManager) -> list[str]:
    """The same of components and steps that need themselves, through others."""
    faults = []

    def nothing() -> None:
        """What these do."""

    calls: list[tuple[str, Callable[[], object]]] = []
    for name, needs in (("a", "b"), ("b", "c"), ("c", "a")):
        spec = ComponentSpec(name, needs=(needs,))
        calls.append((f"component {name}", partial(components.register, spec, start=nothing, stop=nothing)))
    for name, needs in (("a", "b"), ("b", "c"), ("c", "a")):
        calls.append((f"step {name}", partial(cleanup.add, CleanupStep(name, after=(needs,)), nothing)))
    for what, call in calls:
        closes = what.endswith(" c")
        try:
            call()
        except CoreSysError as error:
            if not closes:
                faults.append(f"{what} was refused: {in_words(error)}")
        except Exception as error:
            faults.append(f"{what}: {in_words(error)}")
        else:
            if closes:
                faults.append(f"{what} closes a circle, and was taken")
    return faults


def dead_guards_not_named() -> list[str]:
    """Of our tables: guards that nobody would ever ask."""
    from coresys.errors.hierarchy import TableError
    from coresys.state import State, TransitionTable, on

    def never_asked(trigger: object) -> bool:
        return True

    faults = []
    states = [State("a", initial=True), State("b")]
    for what, transitions in (
        ("behind one that has none", [on("go", "a", "b"), on("go", "a", "a", guards=[never_asked])]),
        ("asked before", [on("go", "a", "b", guards=[never_asked]), on("go", "a", "a", guards=[never_asked])]),
    ):
        try:
            TransitionTable("wrong", states=states, transitions=transitions)
        except TableError as error:
            if "never_asked" not in str(error):
                faults.append(f"a guard {what} is not named: {in_words(error)}")
        else:
            faults.append(f"a guard {what} was taken")
    return faults


# -- errors between coordinators -------------------------------------------------------------------------------------


def texts(record: ErrorRecord) -> list[str]:
    """The messages of an error, its causes and members."""
    return [record.message, *(text for each in (*record.causes, *record.members) for text in texts(each))]


def errors_lost(system: System) -> list[str]:
    """Errors of components, steps, resources, tasks and machines, many at once; those that are in nothing that came to
    the sink. Takes the system down."""
    arrived = Arrived()
    system.errors.sink("operator", arrived)
    for component in ("service", "cleanup", "db", "web", "cache"):
        system.errors.route(component, "operator")
    injected: list[str] = []

    def failing(message: str) -> Callable[[], None]:
        def fail() -> None:
            injected.append(message)
            raise Planted(message)

        return fail

    def ok() -> None:
        """Nothing goes wrong."""

    coordinator = system.coordinators.component
    coordinator.register(ComponentSpec("db"), start=failing("start of db"), stop=ok)
    coordinator.register(ComponentSpec("web"), start=ok, stop=failing("stop of web"))
    coordinator.register(ComponentSpec("cache", restarts=5), start=ok, stop=failing("stop of cache"))
    coordinator.start("web")
    coordinator.start("cache")
    coordinator.resources.register("connection", owner="web", close=failing("close of a connection"))
    for call in (
        partial(coordinator.start, "db"),
        partial(coordinator.stop, "web"),
        partial(coordinator.restart, "cache"),
        partial(_fire_failing, system, failing("inside of a transition")),
    ):
        with suppress(Exception), system.errors.guard("service"):
            call()
    task = system.errors.guard("web")
    futures = [system.threads.submit(task(failing(f"task {number}"))) for number in range(20)]
    for future in futures:
        future.exception(PATIENCE)
    system.cleanup.add(CleanupStep("here", here=True), failing("step here"))
    system.cleanup.add(CleanupStep("apart", deadline=PATIENCE), failing("step of its own thread"))
    system.resources.register("file", owner="mail", close=failing("close of a file"))
    system.resources.register("socket", owner="search", close=failing("close of a socket"))
    system.shutdown()
    told = [text for record in arrived.records for text in texts(record)]
    faults = [
        f"{message!r} did not come to the sink" for message in injected if not any(message in text for text in told)
    ]
    twice = [message for message in injected if sum(record.message == message for record in arrived.records) > 1]
    statistics = system.errors.statistics()
    if statistics.delivered != statistics.seen:
        faults.append(f"of {statistics.seen} errors {statistics.delivered} were delivered")
    if len(injected) < 29:
        faults.append(f"only {len(injected)} errors were raised")
    return faults + [f"{message!r} came twice" for message in twice]


def _fire_failing(system: System, fail: Callable[[], object]) -> None:
    from coresys.state import State, TransitionTable, inside, on

    table = TransitionTable(
        "failing",
        states=[State("a", initial=True), State("b")],
        transitions=[on("go", "a", "b", observers=[inside(lambda trigger: fail() and None)])],
    )
    system.state.add("failing", table)
    system.state.fire("failing", "go")


def context_lost(system: System) -> list[str]:
    """A context variable as it is seen on the other side of each border: in components, tasks, steps, environments.

    Takes the system down."""
    seen: list[tuple[str, str]] = []
    lock = threading.Lock()

    def note(where: str) -> None:
        with lock:
            seen.append((where, REQUEST.get()))

    def noting(where: str) -> Callable[[], None]:
        return partial(note, where)

    system.errors.sink("operator", lambda record: note(f"sink, {record.message}"))
    system.errors.route("web", "operator")
    coordinator = system.coordinators.component

    def start() -> None:
        note("start")
        system.threads.submit(note, "task of a start").result(PATIENCE)
        coordinator.resources.register("session", owner="web", close=noting("close"))

    def fail() -> None:
        raise Planted("of a task")

    coordinator.register(ComponentSpec("web", restarts=5), start=start, stop=noting("stop"))
    token = REQUEST.set("the one")
    try:
        coordinator.start("web")
        coordinator.restart("web")
        system.threads.submit(note, "task").result(PATIENCE)
        system.threads.submit(system.errors.guard("web")(fail)).exception(PATIENCE)
        system.threads.submit(lambda: system.threads.submit(note, "task of a task").result(PATIENCE)).result(PATIENCE)
        testing = system.coordinators.testing
        testing.open(EnvironmentSpec("own"))
        testing.tests.environment("own").threads.submit(noting("task of an environment")).result(PATIENCE)
        testing.close("own")
        system.cleanup.add(CleanupStep("here", here=True), noting("step"))
        system.cleanup.add(CleanupStep("apart", deadline=PATIENCE), noting("step of its own thread"))
        system.shutdown()
    finally:
        REQUEST.reset(token)
    places = {
        "start", "task of a start", "close", "stop", "task", "sink, of a task", "task of a task",
        "task of an environment", "step", "step of its own thread",
    }  # fmt: skip
    faults = [f"{where}: nobody was there" for where in sorted(places - {where for where, _ in seen})]
    return faults + [f"{where}: it was {value!r}" for where, value in seen if value != "the one"]


def errors_not_monitored(system: System, threads: int = 8, each: int = 50) -> list[str]:
    """Errors of tasks, threads, components and steps, against what monitoring counted of each. Takes it down."""
    arrived = Arrived()
    system.errors.sink("operator", arrived)
    for component in ("web", "db", "cleanup"):
        system.errors.route(component, "operator")

    def fail(message: str) -> None:
        raise Planted(message)

    def storm(number: int) -> None:
        for at in range(each):
            if at % 2:
                system.errors.report(raised(Planted(f"thread {number} error {at}")), component="web")
            else:
                task = system.errors.guard("web")(partial(fail, f"task {number} error {at}"))
                system.threads.submit(task).exception(PATIENCE)

    faults = at_once([partial(storm, number) for number in range(threads)])
    coordinator = system.coordinators.component
    coordinator.register(ComponentSpec("db", restarts=10), start=lambda: None, stop=partial(fail, "stop"))
    coordinator.start("db")
    for _ in range(3):
        coordinator.restart("db")  # whose stop fails, which keeps it from nothing
    with suppress(CoreSysError):
        coordinator.stop("db")
    for number in range(4):
        system.cleanup.add(CleanupStep(f"step {number}"), partial(fail, f"step {number}"))
    system.shutdown()
    expected = {"web": threads * each, "db": 3, "cleanup": 4}
    snapshot = system.monitoring.snapshot()
    for name, count in expected.items():
        found = counted(snapshot, "errors.seen", (name,))
        came = sum(record.component == name for record in arrived.records)
        if found != count or came != count:
            faults.append(f"{name}: {count} errors, monitoring counted {found:g}, and {came} came to the sink")
    whole, seen = counted(snapshot, "errors.seen"), system.errors.statistics().seen
    return faults + [f"monitoring counted {whole:g} errors of {seen}"] * (whole != seen)


# -- the order of recovery -------------------------------------------------------------------------------------------


class _Graph:
    """Components at random, which note whether what they need runs when they start, and what needs them when they
    stop."""

    def __init__(self, coordinator: ComponentCoordinator, dice: random.Random, restarts: int) -> None:
        self.coordinator, self.restarts = coordinator, restarts
        self.running: set[str] = set()
        self.failing: set[str] = set()
        self.faults: list[str] = []
        self.needs: dict[str, tuple[str, ...]] = {}
        self.strategies: dict[str, str] = {}
        self.log: list[tuple[str, str]] = []
        for number in range(dice.randint(3, 7)):
            name = f"c{number}"
            self.needs[name] = tuple(each for each in self.needs if dice.random() < 0.4)
        for name in dice.sample(list(self.needs), len(self.needs)):
            strategy = self.strategies[name] = dice.choice(("one-for-one", "rest-for-one"))
            spec = ComponentSpec(name, self.needs[name], restarts=restarts, within=3600.0, strategy=strategy)
            coordinator.register(spec, start=partial(self._start, name), stop=partial(self._stop, name))

    def dependents(self, name: str) -> set[str]:
        """Those that need it, through whatever others."""
        found = {name}
        for each, needs in self.needs.items():  # which are declared after what they need
            if found & set(needs):
                found.add(each)
        return found - {name}

    def along(self, name: str) -> set[str]:
        """Those that are restarted with it: which need it, and by ``rest-for-one`` all that start after it."""
        rest: set[str] = set()
        if self.strategies[name] == "rest-for-one":
            order = [each.name for each in self.coordinator.components.components()]
            rest = {*order[order.index(name) + 1 :]}
        return rest | self.dependents(name)

    def _start(self, name: str) -> None:
        for each in self.needs[name]:
            if each not in self.running:
                self.faults.append(f"{name} was started, and {each}, which it needs, does not run")
        if name in self.running:
            self.faults.append(f"{name} was started twice")
        self.log.append(("start", name))
        if name in self.failing:
            raise Planted(name)
        self.running.add(name)

    def _stop(self, name: str) -> None:
        for each in self.running:
            if name in self.needs[each]:
                self.faults.append(f"{name} was stopped, and {each}, which needs it, runs")
        self.log.append(("stop", name))
        self.running.discard(name)

    def check_restarted(self, what: str, name: str) -> None:
        """Since the log was cleared it was stopped and started once, with those that go along with it; and no other."""
        along = {name, *self.along(name)}
        for action in ("stop", "start"):
            seen = sorted(each for done, each in self.log if done == action)
            if seen != sorted(along):
                strategy = self.strategies[name]
                self.faults.append(f"{what}, {strategy}: {action} of {seen}, and not of {sorted(along)}")

    def check(self, what: str, down: Collection[str], either: Collection[str] = ()) -> None:
        """All run but those; of some either is right."""
        expected = set(self.needs) - set(down) - set(either)
        if self.running - set(either) != expected:
            self.faults.append(f"{what}: {sorted(self.running)} run, and not {sorted(expected)}")
        states = {each.name: each.state for each in self.coordinator.components.components()}
        told = {name for name, state in states.items() if state == "running"}
        if told != self.running:
            self.faults.append(f"{what}: {sorted(self.running)} run, and said is it of {sorted(told)}")


def wrong_order(
    components: Callable[[], IComponentManager],
    states: Callable[[], IStateManager],
    resources: IResourceManager,
    graphs: int = 60,
    seed: int = 5,
) -> list[str]:
    """Random graphs in which random components fail: restarted too early or too late, too often, or not at all."""
    dice = random.Random(seed)
    faults: list[str] = []
    for number in range(graphs):
        coordinator = ComponentCoordinator(components=components(), state=states(), resources=resources)
        graph = _Graph(coordinator, dice, restarts=2)
        attempt(graph.faults, "recovery", partial(_recover, graph, dice))
        faults += [f"graph {number}: {fault}" for fault in graph.faults]
    return faults


def _start_and_stop(graph: _Graph, unlucky: str) -> None:
    """Start all, which one keeps from coming to its end at first; stop all; and leave all running."""
    coordinator = graph.coordinator
    graph.failing.add(unlucky)
    with suppress(CoreSysError):
        coordinator.start()
        graph.faults.append(f"{unlucky} did not start, and nobody heard of it")
    graph.check(f"a start that {unlucky} fails in", graph.needs)
    graph.failing.clear()
    coordinator.start()
    graph.check("start", ())
    coordinator.stop()
    graph.check("stop", graph.needs)
    coordinator.start()
    graph.check("start after a stop", ())


def _recover(graph: _Graph, dice: random.Random) -> None:
    coordinator = graph.coordinator
    _start_and_stop(graph, dice.choice(list(graph.needs)))
    one, other = dice.sample(list(graph.needs), 2)
    for time in range(graph.restarts):
        graph.log.clear()
        if coordinator.restart(one, cause="planted") is not True:
            graph.faults.append(f"restart {time + 1} of {one} was refused")
        graph.check(f"restart {time + 1} of {one}", ())
        graph.check_restarted(f"restart {time + 1} of {one}", one)
    if coordinator.restart(one, cause="planted") is not False:
        graph.faults.append(f"{one} was restarted more than {graph.restarts} times")
        return
    down = {one, *graph.dependents(one)}
    graph.check(f"{one} failed for good", down)
    if coordinator.status(one).state != "failed":
        graph.faults.append(f"{one} is {coordinator.status(one).state} and not failed")
    if other in down or set(graph.needs[other]) & down:
        return
    graph.failing.add(other)  # it does not start again
    with suppress(CoreSysError):
        coordinator.restart(other, cause="planted")
        graph.faults.append(f"{other} did not start again, and nobody heard of it")
    gone = down | {other} | graph.dependents(other)
    graph.check(f"{other} does not start", gone, either=graph.along(other) - gone)
