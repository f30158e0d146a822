"""Everything that has an owner: buffers that are lent, and whatever else has to be closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from coresys.resources.lease import Lease
from coresys.resources.owned import OwnedResources
from coresys.resources.pools import BufferPools
from coresys.system_records import LeaseRecord, OwnerUsage, PoolStatistics

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

    ``pools`` are where buffers come from; the default tiers where none are given.
    """

    def __init__(self, pools: BufferPools | None = None) -> None:
        self.pools = BufferPools() if pools is None else pools
        self.owned = OwnedResources()

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Lease:
        """A buffer of at least ``size`` bytes: see BufferPools.lease."""
        return self.pools.lease(size, owner=owner, timeout=timeout, depth=2)

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0) -> None:
        """What an owner may hold, and what is kept for it, in bytes."""
        self.pools.limit(owner, lease=lease, reserve=reserve)

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
        try:
            closed = self.owned.close_all(owner)
        finally:
            taken = self.pools.release_owner(owner)
        return closed + taken

    def usage(self, owner: str) -> OwnerUsage:
        """What an owner holds and may hold."""
        held = self.pools.usage(owner)
        return OwnerUsage(
            owner, held.leased, held.lease_limit, held.lease_reserve, held.leases, len(self.owned.names(owner))
        )

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """One record for each tier, smallest first."""
        return self.pools.statistics()

    def __repr__(self) -> str:
        return f"<ResourceManager: {self.pools!r}>"


if TYPE_CHECKING:
    _check: type[IResourceManager] = ResourceManager

__all__ = ["ResourceManager"]
