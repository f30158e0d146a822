"""Brings monitoring, threads and resources together: what the two do becomes figures of the first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coresys.coordinators.views import PRIORITIES, ScopedMonitoring, ScopedResources, ScopedThreads
from coresys.system_records import (
    AllocationRecord,
    LockStatistics,
    MonitoringSnapshot,
    PoolStatistics,
    ThreadPoolStatistics,
)

if TYPE_CHECKING:
    from coresys.interfaces import IMonitoringManager, IResourceManager, IThreadManager


@dataclass(frozen=True, slots=True)
class SystemReport:
    """How a system does at a time: what was told, its threads, locks and buffers.

    ``allocations``: who asked for buffers of which size, and was refused; none where the manager of resources does not
    tell (no protocol asks it to).
    """

    monitoring: MonitoringSnapshot
    threads: ThreadPoolStatistics
    locks: tuple[LockStatistics, ...]
    pools: tuple[PoolStatistics, ...]
    allocations: tuple[AllocationRecord, ...] = ()


class MonitoringCoordinator:
    """Reads what threads, locks and buffers do, and tells it as gauges.

    ``observe`` reads once. Whoever samples calls it at a rate: ``build_system`` has the sampler of its monitoring do
    so. Figures: ``threads.workers``, ``threads.busy``, ``threads.completed``, ``threads.failed``; ``threads.queued``
    and ``threads.longest_wait`` (seconds) by priority; ``locks.waited`` (seconds) and ``locks.waiting`` by lock;
    ``pools.busy``, ``pools.refused``, ``pools.overflowed`` and the shares ``pools.external``, ``pools.internal``,
    ``pools.idle`` by tier; ``resources.leased`` (bytes) by owner, of those that hold something or did when last seen.

    ``monitoring``, ``threads`` and ``resources`` are the parts of the managers that are this coordinator's own.
    ``lock`` guards what it remembers from one look to the next, at its place in the order of locks.
    """

    def __init__(
        self,
        *,
        monitoring: IMonitoringManager,
        threads: IThreadManager,
        resources: IResourceManager,
        part: str = "monitoring",
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.monitoring = ScopedMonitoring(monitoring, part)
        self.threads = ScopedThreads(threads, part)
        self.resources = ScopedResources(resources, part)
        self._monitoring, self._threads, self._resources = monitoring, threads, resources
        self._lock = nullcontext() if lock is None else lock
        self._owners: frozenset[str] = frozenset()  # that were seen to hold something, the last time

    def observe(self) -> None:
        """Read everything, and tell it. A second look at once does no harm."""
        gauge = self._monitoring.gauge
        threads = self._threads.statistics()
        gauge("threads.workers", threads.workers)
        gauge("threads.busy", threads.busy)
        gauge("threads.completed", threads.completed)
        gauge("threads.failed", threads.failed)
        for priority, queued, longest in zip(PRIORITIES, threads.queued, threads.waits, strict=True):
            gauge("threads.queued", queued, component=priority)
            gauge("threads.longest_wait", longest, component=priority)
        for lock in self._threads.locks():
            gauge("locks.waited", lock.waited, component=lock.name)
            gauge("locks.waiting", lock.waiting, component=lock.name)
        for pool in self._resources.statistics():
            for figure in ("busy", "refused", "overflowed", "external", "internal", "idle"):
                gauge(f"pools.{figure}", getattr(pool, figure), component=pool.tier)
        self._observe_owners()

    def _observe_owners(self) -> None:
        held: dict[str, int] = {}
        for lease in self._resources.leases():
            held[lease.owner] = held.get(lease.owner, 0) + lease.size
        with self._lock:
            gone, self._owners = self._owners - held.keys(), frozenset(held)
        for owner in sorted(gone):
            self._monitoring.gauge("resources.leased", 0, component=owner)
        for owner, size in held.items():
            self._monitoring.gauge("resources.leased", size, component=owner)

    def report(self) -> SystemReport:
        """Everything as of now, after one more look."""
        self.observe()
        allocations: Callable[[], tuple[AllocationRecord, ...]] | None
        allocations = getattr(self._resources, "allocations", None)
        return SystemReport(
            self._monitoring.snapshot(),
            self._threads.statistics(),
            self._threads.locks(),
            self._resources.statistics(),
            () if allocations is None else allocations(),
        )

    def __repr__(self) -> str:
        return f"<MonitoringCoordinator over {self._monitoring!r}, {self._threads!r}, {self._resources!r}>"


__all__ = ["MonitoringCoordinator", "SystemReport"]
