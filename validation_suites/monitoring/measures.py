"""What is measured of a monitoring manager, and of the coordinator over it. Each function returns the faults it finds,
in words."""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from coresys.system_records import ComponentSpec, Distribution
from validation_suites.running import PATIENCE, Runner, at_once
from validation_suites.state.measures import DOOR
from validation_suites.threads.racing import until

if TYPE_CHECKING:
    from coresys.interfaces import IMonitoringManager

_EXACT = 0.02  # relative: what a bucket of a quantile may be off


# -- response times --------------------------------------------------------------------------------------------------


def distribution_faults(manager: IMonitoringManager, values: int = 5_000, seed: int = 7) -> list[str]:
    """Values that are known, told from several threads: count, sum, extremes, p50 and p99 in the snapshot."""
    dice = random.Random(seed)
    told = [math.exp(dice.uniform(math.log(1e-5), math.log(1.0))) for _ in range(values)]
    parts = [told[at::4] for at in range(4)]

    def tell(part: list[float]) -> None:
        for value in part:
            manager.record("suite.operation", value, unit="seconds", component="suite")

    return [
        *(f"record(): {problem}" for problem in at_once(partial(tell, part) for part in parts)),
        *figures_wrong(_distribution(manager, "suite.operation", "suite"), told),
    ]


def _distribution(manager: IMonitoringManager, name: str, component: str) -> Distribution | None:
    for each in manager.snapshot().distributions:
        if (each.name, each.component) == (name, component):
            return each
    return None


def figures_wrong(found: Distribution | None, told: Iterable[float]) -> list[str]:
    """What a distribution does not say as it is: it has to have count, sum, least, most, and both quantiles."""
    if found is None:
        return ["the snapshot has no such distribution"]
    values = sorted(told)
    faults = []
    if found.count != len(values):
        faults.append(f"count is {found.count}, of {len(values)}")
    quantiles = dict(found.quantiles)
    for name, said, true, off in (
        ("sum", found.total, math.fsum(values), 1e-6),
        ("least", found.least, values[0], 1e-9),
        ("most", found.most, values[-1], 1e-9),
        ("p50", quantiles.get(0.5), values[math.ceil(0.5 * len(values)) - 1], _EXACT),
        ("p99", quantiles.get(0.99), values[math.ceil(0.99 * len(values)) - 1], _EXACT),
    ):
        if said is None:
            faults.append(f"{name} is not told")
        elif abs(said - true) > off * true:
            faults.append(f"{name} is {said:.6g}, and it was {true:.6g}")
    return faults


def operations_untold(system: Any, transitions: int = 500, starts: int = 20) -> list[str]:
    """Whether a system tells of each operation how often it was and what it took; and no more than it took, seen from
    outside: what the clock itself costs is not in it."""
    system.state.define("door", DOOR)
    began = perf_counter()
    for turn in range(transitions):
        system.state.fire("door", ("push", "pull")[turn % 2])
    moving = perf_counter() - began
    system.components.register(ComponentSpec("part"), start=lambda: None, stop=lambda: None)
    began = perf_counter()
    for _ in range(starts):
        system.components.start("part")
        system.components.stop("part")
    starting = perf_counter() - began
    return [
        *_untold(system.monitoring, "state.transition_time", "door", transitions, moving),
        *_untold(system.monitoring, "components.start_time", "part", starts, starting),
    ]


def _untold(manager: IMonitoringManager, name: str, component: str, count: int, outside: float) -> list[str]:
    found = _distribution(manager, name, component)
    if found is None:
        return [f"{name} of {component} is not told"]
    quantiles = dict(found.quantiles)
    faults = []
    if found.count != count:
        faults.append(f"{name}: {found.count} told, of {count}")
    if not (found.least <= quantiles.get(0.5, -1.0) <= quantiles.get(0.99, -1.0) <= found.most):
        faults.append(f"{name}: p50, p99 and most are {quantiles.get(0.5)}, {quantiles.get(0.99)}, {found.most}")
    if not 0 < found.total <= outside:
        faults.append(f"{name}: {found.total:.3g} s in all, of {outside:.3g} s that it took from outside")
    return faults


# -- resource usage --------------------------------------------------------------------------------------------------

FIGURES = ("memory", "descriptors", "threads", "tasks", "leases")


def usage_of(report: Any) -> Mapping[str, float]:
    """Memory, descriptors, threads, tasks and leases in a report of a monitoring coordinator; those that it has."""
    gauges = {(name, component): value for name, component, value in report.monitoring.gauges}
    found = {
        "memory": gauges.get(("memory.in_use", "")),
        "descriptors": gauges.get(("process.descriptors", "")),
        "threads": gauges.get(("process.threads", "")),
        "tasks": None if report.threads is None else float(report.threads.busy + sum(report.threads.queued)),
        "leases": None if report.pools is None else float(sum(pool.busy for pool in report.pools)),
    }
    return {name: value for name, value in found.items() if value is not None}


_LEAST = {"memory": 25 << 20, "descriptors": 5, "threads": 3, "tasks": 4, "leases": 6}
_SETTLED = 1.2  # seconds: descriptors are counted once in a second


def usage_faults(system: Any, report: Callable[[], Any], patience: float = PATIENCE) -> list[str]:
    """Take 30 MB, five descriptors, three threads, four tasks and six buffers, and give all back: whether each report
    follows. Of a system whose sampler runs; ``report`` is its coordinator's."""
    until(lambda: len(usage_of(report())) == len(FIGURES), patience)
    missing = [name for name in FIGURES if name not in usage_of(report())]
    if missing:
        return [f"{name} is in no report" for name in missing]
    for _ in range(2):  # what is made once, as the threads of workers, is there before
        _taken(system, patience)()
    time.sleep(min(_SETTLED, patience))
    before = usage_of(report())
    give_back = _taken(system, patience)

    def more(name: str) -> float:
        return usage_of(report()).get(name, 0.0) - before[name]

    def untold() -> list[str]:
        return [name for name, least in _LEAST.items() if more(name) < least]

    until(lambda: not untold(), patience)
    faults = [f"{name} did not follow by {_LEAST[name]}" for name in untold()]
    give_back()

    def high() -> list[str]:
        return [name for name, least in _LEAST.items() if more(name) > 0.9 * least]

    until(lambda: not high(), patience if not faults else 0.0)
    return faults + [f"{name} did not come back down" for name in high()]


def _taken(system: Any, patience: float) -> Callable[[], None]:
    """Take all of it; what gives it back is returned."""
    leave = threading.Event()
    pipes = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    memory = [bytearray(30 << 20)]
    threads = [Runner(lambda: leave.wait(4 * patience)) for _ in range(3)]
    tasks = [system.threads.submit(leave.wait, 4 * patience) for _ in range(4)]
    leases = [system.resources.lease(4096, owner="usage") for _ in range(6)]

    def give_back() -> None:
        memory.clear()
        for each in pipes:
            os.close(each)
        leave.set()
        for task in tasks:
            task.result(patience)
        for lease in leases:
            lease.release()
        for thread in threads:
            thread.join(patience)

    return give_back


# -- a busy service --------------------------------------------------------------------------------------------------


class Busy:
    """``with Busy(manager):`` twenty threads tell it of what they do, and sleep in between, as those of services do."""

    def __init__(self, manager: IMonitoringManager, threads: int = 20) -> None:
        self._manager, self._number = manager, threads
        self._stop = threading.Event()

    def _work(self, number: int) -> None:
        turn = 0
        while not self._stop.wait(0.02 + number * 0.0007):  # not all of them at once
            for _ in range(10):
                turn += 1
                self._manager.count(f"suite.served.{turn % 10}", component="web")
                self._manager.gauge(f"suite.depth.{turn % 10}", turn)
                self._manager.record(f"suite.delay.{turn % 10}", (turn * 37 + number) % 1000 / 1e6, unit="seconds")

    def __enter__(self) -> Busy:
        self._runners = [Runner(lambda number=number: self._work(number)) for number in range(self._number)]  # type: ignore[misc]
        time.sleep(0.1)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for runner in self._runners:
            runner.join(PATIENCE)


def as_long_as(operation: Callable[[], object], calls: int = 30) -> Callable[[], None]:
    """A loop that takes as much of a processor as the operation does. Who is at work for so long has to let others have
    the interpreter as often: that is no matter of what the work is."""
    seconds = _cost(operation, calls)
    turns = 1_000
    each = max(_cost(lambda: _loop(turns), calls) / turns, 1e-9)
    return partial(_loop, max(int(seconds / each), 1))


def _loop(turns: int) -> None:
    for _ in range(turns):
        pass


def _cost(operation: Callable[[], object], calls: int) -> float:
    seconds = []
    for _ in range(calls):
        began = time.thread_time()
        operation()
        seconds.append(time.thread_time() - began)
    return median(seconds)


# -- what a coordinator is built of ------------------------------------------------------------------------------------


class Recorder:
    """A fake of a manager, of the methods that its protocol has and no others: it notes calls, and answers as it was
    told to."""

    def __init__(self, protocol: type, **answers: Any) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._methods = frozenset(name for name in vars(protocol) if not name.startswith("_"))
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._methods:
            raise AttributeError(f"{name} is in no protocol")

        def call(*args: Any, **named: Any) -> Any:
            self.calls.append((name, args, named))
            answer = self._answers.get(name, ())
            return answer(*args, **named) if callable(answer) else answer

        return call


def injection_faults(build: Callable[..., Any]) -> list[str]:
    """Build a monitoring coordinator of three fakes that have what the protocols have, and no more: whether all that it
    says comes from them, and goes to them."""
    from coresys.interfaces import IMonitoringManager, IResourceManager, IThreadManager
    from coresys.system_records import MonitoringSnapshot, PoolStatistics, ThreadPoolStatistics

    snapshot = MonitoringSnapshot(time=1.0, counters=(("mine", "", 7.0),))
    workers = ThreadPoolStatistics(3, 4, 2, (0, 1, 0), 9, 6, 0, 0)
    pool = PoolStatistics("tiny", 16, 8, 5, 5, 5, 0, 0, 0.0, 0.0, 0.0)
    monitoring = Recorder(IMonitoringManager, snapshot=snapshot)
    threads = Recorder(IThreadManager, statistics=workers, locks=(), threads=())
    resources = Recorder(IResourceManager, statistics=(pool,), leases=())
    coordinator = build(monitoring=monitoring, threads=threads, resources=resources)
    report = coordinator.report()
    faults = []
    if (report.monitoring, report.threads, report.pools) != (snapshot, workers, (pool,)):
        faults.append("the report is not what the managers say that were given")
    told = {(args[0], named.get("component", "")): args[1] for name, args, named in monitoring.calls if name == "gauge"}
    for figure, component, value in (("threads.busy", "", 2), ("pools.busy", "tiny", 5)):
        if told.get((figure, component)) != value:
            faults.append(f"{figure} was not told to the monitoring that was given")
    return faults
