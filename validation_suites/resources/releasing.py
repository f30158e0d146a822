"""What is measured of the end of things: their order, that it covers all, and that what was taken is there no more."""

from __future__ import annotations

import mmap
import os
import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from coresys.cleanup.verify import Baseline, lease_probe, process_probes
from coresys.resources.tiers import DEFAULT_TIERS
from coresys.system_records import CleanupStep, ComponentSpec, EnvironmentSpec
from validation_suites.resources.measures import MEDIUM, SMALL, Now, taken_until_refused, whole
from validation_suites.running import WATCHDOG

if TYPE_CHECKING:
    from coresys.coordinators.assembly import System
    from coresys.interfaces import Environment, ICleanupManager, IResourceManager, ITestManager

HANGS = 10.0  # seconds: nobody is that late, on whatever machine, who does not wait for it
_HUNG = 0.05  # seconds, the deadline of what hangs
PARTS = 8  # components, in the system that is taken down


@contextmanager
def something_that_hangs() -> Iterator[Callable[[], None]]:
    """A call that does not come back before the block is left, or in 10 s, by which whoever goes on waiting for it is
    seen: what should be told as hanging is done then. In the end its thread is waited for."""
    gate, lock = threading.Event(), threading.Lock()
    inside: list[threading.Thread] = []

    def hangs() -> None:
        with lock:
            inside.append(threading.current_thread())
        gate.wait(HANGS)

    try:
        yield hangs
    finally:
        gate.set()
        for thread in inside:
            if thread is not threading.current_thread():
                thread.join(WATCHDOG)


def fails() -> None:
    """A step that does."""
    raise OSError("planned")


# -- in order ----------------------------------------------------------------------------------------------------------


def order_violations(make: Callable[[], ICleanupManager], graphs: int = 1000) -> list[str]:
    """Random graphs of steps: edges that were closed the wrong way round, and steps that were not run once."""
    faults = []
    for seed in range(graphs):
        edges, names = _random_graph(random.Random(seed))
        order: list[str] = []
        cleanup = make()
        for name in names:
            cleanup.add(CleanupStep(name, after=tuple(edges[name])), partial(order.append, name))
        cleanup.run()
        if sorted(order) != sorted(names):
            faults.append(f"graph {seed}: ran {order}, of {sorted(names)}")
            continue
        at = {name: place for place, name in enumerate(order)}
        faults += [
            f"graph {seed}: {name} was closed before {before}, which it comes after"
            for name in names
            for before in edges[name]
            if at[before] > at[name]
        ]
    return faults


def _random_graph(dice: random.Random) -> tuple[dict[str, list[str]], list[str]]:
    """What each step comes after, and the steps in the order they are declared in, which is another one."""
    ordered = [f"step {number}" for number in range(dice.randint(2, 10))]
    edges = {name: dice.sample(ordered[:at], dice.randint(0, min(at, 3))) for at, name in enumerate(ordered)}
    return edges, dice.sample(ordered, len(ordered))


# -- all of it ---------------------------------------------------------------------------------------------------------


def channels_left_open(cleanup: ICleanupManager, resources: IResourceManager, channels: int = 16) -> list[str]:
    """Channels whose steps fail and hang, and each of which holds buffers and other things: those that hold anything
    when the cleanup is over."""
    closed: list[str] = []
    kept: list[Any] = []
    with something_that_hangs() as hangs:
        for number in range(channels):
            owner = f"channel {number}"
            for size in (SMALL, MEDIUM):  # as far as there are so many
                kept += taken_until_refused(resources, size, owner, most=1)
            resources.register("socket", owner=owner, close=partial(closed.append, owner))
            wrong = {0: fails, 1: hangs}.get(number % 4)
            before: tuple[str, ...] = ()
            if wrong is not None:
                before = (f"stop {number}",)
                deadline = _HUNG if wrong is hangs else None
                cleanup.add(CleanupStep(before[0], channel=owner, deadline=deadline), wrong)
            step = CleanupStep(f"release {number}", channel=owner, after=before)
            cleanup.add(step, partial(resources.release_owner, owner))
        report = cleanup.run()
    faults = []
    for number in range(channels):
        owner = f"channel {number}"
        usage = resources.usage(owner)
        if usage.leases or usage.resources or resources.leases(owner) or owner not in closed:
            faults.append(f"{owner} has {usage.leases} leases and {usage.resources} other things still")
    told = {name for name, _ in report.failed} | set(report.hung)
    faults += [
        f"what became of 'stop {number}' is not told"
        for number in range(channels)
        if number % 4 < 2 and f"stop {number}" not in told
    ]
    return faults


# -- it is gone --------------------------------------------------------------------------------------------------------


def unreclaimed(manager: IResourceManager, owners: int = 8) -> list[str]:
    """What is there after owners that held buffers, a descriptor, a mapping and a thread each were told to give all of
    it back, and was not before."""
    before = Baseline([*process_probes("threads", "descriptors", "mappings", "tasks"), lease_probe(manager)])
    ends: list[Callable[[], object]] = []  # whatever becomes of it, nothing stays behind in this process
    try:
        for number in range(owners):
            _hold_some_of_each(manager, f"owner {number}", ends)
        for number in range(owners):
            manager.release_owner(f"owner {number}")
        faults = list(before.left())
        faults += [f"not measured: {name}, for {why}" for name, why in before.unmeasured.items()]
        for number in range(owners):
            usage = manager.usage(f"owner {number}")
            if usage.leases or usage.leased or usage.resources:
                faults.append(f"by its account, owner {number} has {usage.leases} leases and {usage.resources} things")
        return faults
    finally:
        for end in ends:
            end()


def closed_out_of_order(manager: IResourceManager, things: int = 6) -> list[str]:
    """Things that an owner has registered one on top of the other: those closed before what stands on them."""
    order: list[int] = []
    for number in range(things):
        manager.register(f"thing {number}", owner="tower", close=partial(order.append, number))
    manager.release_owner("tower")
    if sorted(order) != list(range(things)):
        return [f"of {things} things were closed {order}"]
    at = {number: place for place, number in enumerate(order)}
    early = [one for one in range(things - 1) if at[one] < at[one + 1]]
    return [f"thing {one} was closed before {one + 1}, which stands on it" for one in early]


def left_by_a_failure(manager: IResourceManager) -> list[str]:
    """An owner of whose things one fails to close: what it has after that, and that it was told."""
    closed: list[str] = []
    lease = manager.lease(SMALL, owner="unlucky")
    manager.register("first", owner="unlucky", close=partial(closed.append, "first"))
    manager.register("failing", owner="unlucky", close=fails)
    manager.register("last", owner="unlucky", close=partial(closed.append, "last"))
    faults = []
    try:
        manager.release_owner("unlucky")
        faults.append("that something failed to close is told to nobody")
    except Exception:  # of whatever kind: here it is asked what is left
        pass
    usage = manager.usage("unlucky")
    if sorted(closed) != ["first", "last"]:
        faults.append(f"beside what failed to close, closed were {closed}")
    if usage.leases or usage.leased or usage.resources or manager.leases("unlucky"):
        faults.append(f"where something failed to close, {usage.leases} leases and {usage.resources} things are left")
    del lease
    return faults


def _hold_some_of_each(manager: IResourceManager, owner: str, ends: list[Callable[[], object]]) -> None:
    file = tempfile.TemporaryFile()  # noqa: SIM115  its owner is to close it
    file.write(b"x" * mmap.PAGESIZE)
    file.flush()
    mapping = mmap.mmap(file.fileno(), mmap.PAGESIZE)
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, args=(WATCHDOG,), name=owner, daemon=True)
    thread.start()

    def end_thread() -> None:
        gate.set()
        thread.join(WATCHDOG)

    ends += [end_thread, mapping.close, file.close]
    for name, close in (("file", file.close), ("mapping", mapping.close), ("thread", end_thread)):
        manager.register(name, owner=owner, close=close)
    for size in (SMALL, MEDIUM, SMALL):  # as far as there are so many
        for lease in taken_until_refused(manager, size, owner, most=1):
            lease.view[:1] = b"x"


def unreported(tests: ITestManager) -> list[str]:
    """Planted leaks of an environment that its end does not name, with the place where each was taken."""
    tests.open_environment(EnvironmentSpec("leaky", timeout=WATCHDOG))
    own = tests.environment("leaky")
    leases = [own.resources.lease(SMALL, owner=owner, timeout=0.0) for owner in ("upload", "index")]
    record = tests.close_environment("leaky")
    faults = []
    for lease, owner in zip(leases, ("upload", "index"), strict=True):
        lines = [line for line in record.left if owner in line]
        if not lines:
            faults.append(f"the buffer that {owner!r} left is not told: {record.left}")
        elif not any(os.path.basename(__file__) in line for line in lines):
            faults.append(f"of the buffer that {owner!r} left no place is told: {lines[0]}")
        try:
            lease.view[:1] = b"x"
            faults.append(f"the buffer that {owner!r} left is lent still")
        except Exception:  # of which kind is a matter of the subject
            pass
    return faults + _unreported_lock(tests)


def _unreported_lock(tests: ITestManager) -> list[str]:
    """A lock that is held still when its environment is closed, where environments make locks, as ours do."""
    tests.open_environment(EnvironmentSpec("holding"))
    own: Any = tests.environment("holding")
    if not callable(getattr(own, "declare_ranks", None)):
        tests.close_environment("holding")
        return []
    own.declare_ranks("stock")
    lock = own.threads.lock("stock", name="left held")
    lock.acquire()
    record = tests.close_environment("holding")
    return [] if any("left held" in line for line in record.left) else [f"a lock is held, and told is {record.left}"]


# -- environments ------------------------------------------------------------------------------------------------------

_MARK = "marker"


def markers_found(tests: ITestManager, environments: int = 12) -> list[str]:
    """Each environment plants a marker in every manager that it has; those that a next one finds, where it ends. Every
    third stays open for longer than the next."""
    for number in range(environments):
        name = f"test {number}"
        tests.open_environment(EnvironmentSpec(name, timeout=WATCHDOG))
        own = tests.environment(name)
        faults = [f"{name} finds {what}" for what in _found(own)]
        if faults:
            return faults
        _plant(own)
        if number % 3 != 1:
            tests.close_environment(name)
        if number % 3 == 2:
            tests.close_environment(f"test {number - 1}")
    return []


def _found(own: Environment) -> Iterator[str]:
    if _MARK in own.state.names():
        yield "a machine"
    if own.resources.leases(_MARK) or own.resources.usage(_MARK).lease_limit == whole(own.resources, SMALL):
        yield "a lease, or a limit"
    if any(error.component == _MARK for error in own.errors.recent()) or own.errors.statistics().seen:
        yield "an error"
    if own.threads.statistics().submitted:
        yield "a task"
    if any(_MARK in (name, component) for name, component, _ in own.monitoring.snapshot().counters):
        yield "a counter"
    if any(component.name == _MARK for component in own.components.components()):
        yield "a component"
    with own.resources.lease(SMALL, owner="reader") as view:
        if bytes(view).strip(b"\0"):
            yield "bytes in a fresh buffer"


def _plant(own: Environment) -> None:
    from validation_suites.state.measures import DOOR

    own.state.define(_MARK, DOOR)
    own.state.fire(_MARK, "push")
    small = whole(own.resources, SMALL)
    own.resources.limit(_MARK, lease=small)
    with own.resources.lease(small, owner=_MARK) as view:
        view[:] = b"m" * small
    own.errors.report(OSError(_MARK), component=_MARK)
    own.threads.submit(bool).result(WATCHDOG)
    own.monitoring.count(_MARK, component=_MARK)
    own.components.register(ComponentSpec(_MARK), start=bool, stop=bool)
    own.cleanup.add(CleanupStep(_MARK), bool)


# -- a whole system ----------------------------------------------------------------------------------------------------


def touched(system: System) -> None:
    """Have every buffer of every tier written to, page by page, and given back; threads started, components running."""
    for number in range(PARTS):
        needs = (f"part {number - 1}",) if number else ()
        system.components.register(ComponentSpec(f"part {number}", needs=needs), start=bool, stop=bool)
    system.start()
    together = threading.Barrier(5)
    for _ in range(4):
        system.threads.submit(together.wait, WATCHDOG)
    together.wait(WATCHDOG)
    leases = []
    for tier in DEFAULT_TIERS:
        zeros = bytes(len(range(0, tier.slot, mmap.PAGESIZE)))
        for _ in range(tier.slots):
            lease = system.resources.lease(tier.slot, owner="touched")
            lease.view[:: mmap.PAGESIZE] = zeros
            leases.append(lease)
    for lease in leases:
        lease.release()


def shutdown_seconds(make: Callable[[], System], now: Now = perf_counter, *, trouble: bool = False) -> float:
    """Seconds of the ordered shutdown of a system in which everything was touched; with ``trouble`` one of its steps
    hangs and one fails. Raises AssertionError where it was not taken down."""
    system = make()
    touched(system)
    with something_that_hangs() as hangs:
        if trouble:
            system.cleanup.add(CleanupStep("hangs", phase="drain", deadline=_HUNG), hangs)
            system.cleanup.add(CleanupStep("fails", phase="drain"), fails)
        began = now()
        report = system.shutdown()
        took = now() - began
    failed, hung = ("fails",) * trouble, ("hangs",) * trouble
    if (tuple(name for name, _ in report.failed), report.hung, report.left) != (failed, hung, ()):
        raise AssertionError(f"the system was not taken down: {report}")
    return took
