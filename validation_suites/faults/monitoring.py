"""Monitoring with one fault each. What the first line of a docstring says is wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from coresys import MonitoringManager
from coresys.coordinators.monitoring import MonitoringCoordinator
from coresys.system_records import Distribution, MonitoringSnapshot
from validation_suites.faults.faulty import Faulty


def monitoring_that_forgets() -> Any:
    """one value in ten is lost"""
    sound, times = MonitoringManager(), count(1)

    def record(name: str, value: float, *, unit: str, component: str = "") -> None:
        if next(times) % 10:
            sound.record(name, value, unit=unit, component=component)

    return Faulty(sound, record=record)


def monitoring_without_a_maximum() -> Any:
    """the longest is that of a hundred times before"""
    return _telling(lambda each: replace(each, most=dict(each.quantiles)[0.99]))


def monitoring_with_a_low_p99() -> Any:
    """the 99th of a hundred is the 95th"""

    def low(each: Distribution) -> Distribution:
        return replace(
            each, quantiles=tuple((share, value * (0.8 if share == 0.99 else 1)) for share, value in each.quantiles)
        )

    return _telling(low)


def _telling(change: Callable[[Distribution], Distribution]) -> Any:
    sound = MonitoringManager()

    def snapshot() -> MonitoringSnapshot:
        found = sound.snapshot()
        return replace(found, distributions=tuple(map(change, found.distributions)))

    return Faulty(sound, snapshot=snapshot)


def system_with_a_slow_clock() -> dict[str, Any]:
    """what the clock costs is in each figure"""

    def planted(system: Any) -> Any:
        told = system.monitoring

        def snapshot() -> MonitoringSnapshot:
            found: MonitoringSnapshot = told.snapshot()
            dear = tuple(replace(each, total=each.total + 0.001 * each.count) for each in found.distributions)
            return replace(found, distributions=dear)

        return Faulty(system, monitoring=Faulty(told, snapshot=snapshot))

    return {"planted": planted}


def system_that_tells_nothing_of_starts() -> dict[str, Any]:
    """an operation of which no figure is told"""

    def planted(system: Any) -> Any:
        told = system.monitoring

        def snapshot() -> MonitoringSnapshot:
            found: MonitoringSnapshot = told.snapshot()
            return replace(
                found, distributions=tuple(each for each in found.distributions if "start_time" not in each.name)
            )

        return Faulty(system, monitoring=Faulty(told, snapshot=snapshot))

    return {"planted": planted}


Report = Callable[[], Any]


def _without(figure: str) -> Callable[[Report], Report]:
    def planted(report: Report) -> Report:
        def told() -> Any:
            found = report()
            gauges = tuple(each for each in found.monitoring.gauges if each[0] != figure)
            return replace(found, monitoring=replace(found.monitoring, gauges=gauges))

        told.__doc__ = f"a report without {figure}"
        return told

    planted.__doc__ = f"a report without {figure}"
    return planted


def _stale(report: Report) -> Report:
    """a report that is the same for ever"""
    first: list[Any] = []

    def told() -> Any:
        found = report()
        there = {name for name, _, _ in found.monitoring.gauges}
        if not first and {"memory.in_use", "process.descriptors", "process.threads"} <= there:
            first.append(found)
        return first[0] if first else found

    return told


def _without_leases(report: Report) -> Report:
    """a report that tells of no buffer"""
    return lambda: replace(report(), pools=())


REPORTS: tuple[Callable[[Report], Report], ...] = (
    _without("memory.in_use"),
    _without("process.descriptors"),
    _without("process.threads"),
    _without_leases,
    _stale,
)
"""What makes a faulty report of a sound one."""


class SlowMonitoring(MonitoringManager):
    """it reads a file before it answers, for 0.15 s"""

    def snapshot(self) -> MonitoringSnapshot:
        time.sleep(0.15)
        return super().snapshot()


class ContendedMonitoring:
    """one lock for all, which is held while somebody sleeps"""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def count(self, name: str, value: float = 1, *, component: str = "") -> None:
        with self._lock:
            time.sleep(0.002)


class SelfMadeCoordinator(MonitoringCoordinator):
    """a coordinator that makes its own monitoring, whatever it is given"""

    def __init__(self, *, monitoring: Any, threads: Any, resources: Any) -> None:
        super().__init__(monitoring=MonitoringManager(), threads=threads, resources=resources)


class CuriousCoordinator(MonitoringCoordinator):
    """a coordinator that asks for more than a protocol has"""

    def report(self) -> Any:
        self._threads.pool.statistics()  # type: ignore[attr-defined]  # which is the fault
        return super().report()


class BusySampler:
    """a sampler that never rests"""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.stop.is_set():
            sum(range(100))
