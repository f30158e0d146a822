"""Everything that has an owner: buffers that are lent, and whatever else has to be closed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from coresys.resources.heap import HeapAccounts
from coresys.resources.lease import Lease
from coresys.resources.owned import OwnedResources
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Reserve
from coresys.resources.view import ResourceView, release_owner
from coresys.system_records import AllocationRecord, LeaseRecord, OwnerUsage, PoolStatistics

if TYPE_CHECKING:
    from coresys.interfaces import IResourceManager


class ResourceManager:
    """Lends buffers, and closes what owners leave.

    >>> resources = ResourceManager()
    >>> resources.limit("upload", lease=64 * 1024)
    >>> with resources.lease(4096, owner="upload") as view:
    ...     resources.usage("upload").leased
    4096
    >>> resources.register("session", owner="upload", close=lambda: print("closed"))
    >>> resources.release_owner("upload")
    closed
    1

    ``pools`` are where buffers come from; the default tiers where none are given. ``heap`` are the accounts of what
    owners hold on the heap, apart from leases.
    """

    def __init__(self, pools: BufferPools | None = None, heap: HeapAccounts | None = None) -> None:
        self.pools = BufferPools() if pools is None else pools
        self.heap = HeapAccounts() if heap is None else heap
        self.owned = OwnedResources()

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Lease:
        """A buffer of at least ``size`` bytes: see BufferPools.lease."""
        return self.pools.lease(size, owner=owner, timeout=timeout, depth=2)

    def limit(self, owner: str, *, lease: int | None = None, reserve: Reserve = 0, largest: int | None = None) -> None:
        """What an owner may hold, and what is kept for it: see BufferPools.limit."""
        self.pools.limit(owner, lease=lease, reserve=reserve, largest=largest)

    def grant(self, owner: str, size: int, count: int = 1) -> None:
        """Let an owner hold ``count`` buffers of ``size`` bytes beside its limit: see BufferPools.grant."""
        self.pools.grant(owner, size, count)

    def heap_limit(self, owner: str, limit: int | None, reserve: int = 0) -> None:
        """What an owner may hold on the heap: see HeapAccounts.limit."""
        self.heap.limit(owner, limit, reserve)

    def heap_roots(self, owner: str, *find: Callable[[], Any]) -> None:
        """Where what an owner holds on the heap begins: see HeapAccounts.roots."""
        self.heap.roots(owner, *find)

    def heap_block(self, owner: str, *, collect: bool = True) -> AbstractContextManager[None]:
        """What is taken of the heap within is the owner's: see HeapAccounts.block."""
        return self.heap.block(owner, collect=collect)

    def view(
        self, channel: str, *, lease: int | None = None, reserve: Reserve = 0, largest: int | None = None
    ) -> ResourceView:
        """A manager whose owners are all inside a channel, where they have their own names: see ResourceView.

        ``lease`` and ``reserve`` are of all of them together, in bytes (a reserve also in slots by the names of tiers);
        ``largest``: of one buffer, for each that has no such limit of its own. Raises DuplicateChannelError,
        LeaseLimitError where its reserve does not fit.

        >>> resources = ResourceManager()
        >>> part = resources.view("orders", lease=64 * 1024)
        >>> lease = part.lease(1000, owner="upload")
        >>> [record.owner for record in resources.leases()], [record.owner for record in part.leases()]
        (['orders/upload'], ['upload'])
        >>> [str(record.requested) for record in part.close().leases]
        ['1000']
        """
        opened = self.pools.open_channel(channel, lease=lease, reserve=reserve, largest=largest, depth=2)
        return ResourceView(self.pools, self.owned, opened, self.heap)

    def register(self, name: str, *, owner: str, close: Callable[[], object]) -> None:
        """Put anything else that has to be closed in an owner's hands. Raises DuplicateResourceError."""
        self.owned.register(name, owner=owner, close=close, depth=2)

    def leases(self, owner: str | None = None) -> tuple[LeaseRecord, ...]:
        """What is lent now, oldest first."""
        return self.pools.leases(owner)

    def release_owner(self, owner: str) -> int:
        """Close all that an owner has, the latest first, and take its buffers back; returns how many things that were.

        All is attempted. Raises ResourcesNotClosedError, or LeaseInUseError, when that is done.
        """
        return release_owner(self.pools, self.owned, owner, told=owner)

    def decay(self) -> int:
        """Give the memory of buffers back that were not used for a while: see BufferPools.decay."""
        return self.pools.decay()

    def usage(self, owner: str) -> OwnerUsage:
        """What an owner holds and may hold."""
        heap = self.heap.usage(owner) if owner in self.heap.owners() else None
        return replace(self.pools.usage(owner), resources=len(self.owned.names(owner)), heap=heap)

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """One record for each tier, smallest first."""
        return self.pools.statistics()

    def allocations(self) -> tuple[AllocationRecord, ...]:
        """Who asked for how many buffers of which size: see BufferPools.allocations."""
        return self.pools.allocations()

    def __repr__(self) -> str:
        return f"<ResourceManager: {self.pools!r}>"


if TYPE_CHECKING:
    _check: type[IResourceManager] = ResourceManager

__all__ = ["ResourceManager"]
