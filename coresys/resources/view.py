"""A part of the resources as a manager of its own: owners in one channel, bounded together and closed together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from coresys.errors.hierarchy import PoolsClosedError, ResourcesNotClosedError
from coresys.resources.heap import HeapAccounts
from coresys.resources.lease import Lease
from coresys.resources.owned import OwnedResources
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import SEPARATOR, Channel, Reserve
from coresys.system_records import LeaseRecord, LeftResources, OwnedRecord, OwnerUsage, PoolStatistics

if TYPE_CHECKING:
    from coresys.interfaces import IResourceManager


class ResourceView:
    """What ``ResourceManager.view`` returns: the same promises, for the owners of one channel.

    Inside it owners have their own short names; outside they are called ``channel/owner``, and whoever leases for an
    owner of such a name is in the channel. All of them together hold no more than the limit of the channel, and get
    its reserve whatever others hold. A view can be made of a view.
    """

    __slots__ = ("_channel", "_heap", "_owned", "_pools")

    def __init__(self, pools: BufferPools, owned: OwnedResources, channel: Channel, heap: HeapAccounts) -> None:
        self._pools, self._owned, self._channel, self._heap = pools, owned, channel, heap

    @property
    def channel(self) -> str:
        """What it is called outside."""
        return self._channel.name

    def _full(self, owner: str) -> str:
        return f"{self._channel.name}{SEPARATOR}{owner}"

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Lease:
        """As ResourceManager.lease. Raises LeaseLimitError too where all of the channel would hold too much."""
        return self._pools.lease(size, owner=self._full(owner), timeout=timeout, depth=2, channel=self._channel)

    def limit(self, owner: str, *, lease: int | None = None, reserve: Reserve = 0, largest: int | None = None) -> None:
        """As ResourceManager.limit; what is reserved comes out of the reserve of the channel, where it has one."""
        self._pools.limit(self._full(owner), lease=lease, reserve=reserve, largest=largest, channel=self._channel)

    def grant(self, owner: str, size: int, count: int = 1) -> None:
        """As ResourceManager.grant. The limit of the channel holds all the same."""
        self._pools.grant(self._full(owner), size, count, channel=self._channel)

    def register(self, name: str, *, owner: str, close: Callable[[], object]) -> None:
        """As ResourceManager.register. Raises PoolsClosedError after the view was closed."""
        self._owned.register(name, owner=self._full(owner), close=close, depth=2, told=owner)
        # Looked at after it was registered: whoever closes the view meanwhile closes it too, or is seen here.
        if self._channel.closed:
            self._owned.discard(name, owner=self._full(owner), close=close)
            raise PoolsClosedError(owner=owner, channel=self.channel)

    def heap_limit(self, owner: str, limit: int | None, reserve: int = 0) -> None:
        """As HeapAccounts.limit."""
        self._heap.limit(self._full(owner), limit, reserve)

    def heap_roots(self, owner: str, *find: Callable[[], Any]) -> None:
        """As HeapAccounts.roots."""
        self._heap.roots(self._full(owner), *find)

    def heap_block(self, owner: str, *, collect: bool = True) -> AbstractContextManager[None]:
        """As HeapAccounts.block."""
        return self._heap.block(self._full(owner), collect=collect)

    def leases(self, owner: str | None = None) -> tuple[LeaseRecord, ...]:
        """What is lent in this channel now, oldest first."""
        found = self._pools.channel_leases(self._channel)
        return found if owner is None else tuple(record for record in found if record.owner == owner)

    def leaked(self) -> tuple[LeaseRecord, ...]:
        """Leases of this channel that were dropped and never given back, since it was opened."""
        return self._pools.channel_leaked(self._channel)

    def release_owner(self, owner: str) -> int:
        """As ResourceManager.release_owner."""
        return release_owner(self._pools, self._owned, self._full(owner), told=owner)

    def usage(self, owner: str) -> OwnerUsage:
        """What an owner holds and may hold."""
        full = self._full(owner)
        heap = replace(self._heap.usage(full), owner=owner) if full in self._heap.owners() else None
        return replace(self._pools.usage(full), owner=owner, resources=len(self._owned.names(full)), heap=heap)

    def usage_of_all(self) -> OwnerUsage:
        """What all owners of the channel together hold and may hold."""
        return replace(self._pools.usage_of(self._channel), resources=len(self._registered()))

    def most_of_one(self) -> tuple[str, int] | None:
        """The owner of this channel that held most at once, beside what it was granted, and how many bytes."""
        owner, held = self._channel.most_of_one
        return (owner, held) if held else None

    def statistics(self) -> tuple[PoolStatistics, ...]:
        """One record for each tier, of this channel: see BufferPools.channel_statistics."""
        return self._pools.channel_statistics(self._channel)

    def view(
        self, channel: str, *, lease: int | None = None, reserve: Reserve = 0, largest: int | None = None
    ) -> ResourceView:
        """As ResourceManager.view: a part of this part."""
        if self._channel.closed:
            raise PoolsClosedError(channel=self.channel)
        opened = self._pools.open_channel(self._full(channel), lease=lease, reserve=reserve, largest=largest, depth=2)
        return ResourceView(self._pools, self._owned, opened, self._heap)

    def _registered(self) -> tuple[OwnedRecord, ...]:
        start = self._full("")
        return tuple(
            replace(record, owner=owner.removeprefix(start))
            for owner in self._owned.owners()
            if owner.startswith(start)
            for record in self._owned.records(owner)
        )

    def close(self) -> LeftResources:
        """Lend nothing more in this channel, take everything back, and tell what had been left.

        All is attempted, and nothing raised: what could not be taken or closed is told as such. A second call finds
        nothing. Views of this view are closed with it.
        """
        self._pools.close_channel(self._channel)
        dropped, leases, resources = self.leaked(), self.leases(), self._registered()
        problems: list[tuple[str, str, str]] = []
        for owner in dict.fromkeys(record.owner for record in reversed(resources)):
            try:
                self._owned.close_all(self._full(owner))
            except ResourcesNotClosedError as error:
                problems.extend((owner, *problem) for problem in error.problems)
        in_use = self._pools.take_from_channel(self._channel)
        for name in self._heap.owners():
            if name.startswith(self._full("")):
                self._heap.forget(name)
        return LeftResources(self.channel, leases, dropped, resources, in_use, tuple(problems))

    def __enter__(self) -> ResourceView:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        usage = self.usage_of_all()
        most = "" if usage.lease_limit is None else f" of {usage.lease_limit}"
        state = "closed, " if self._channel.closed else ""
        return f"<ResourceView {self.channel!r}: {state}{usage.leased}{most} bytes in {usage.leases} leases>"


def release_owner(pools: BufferPools, owned: OwnedResources, owner: str, *, told: str) -> int:
    """Close all that an owner has, the latest first, and take its buffers back; returns how many things that were.

    ``told``: what the owner is called in errors.
    """
    try:
        closed = owned.close_all(owner, told=told)
    finally:
        taken = pools.release_owner(owner)
    return closed + taken


if TYPE_CHECKING:
    _check: type[IResourceManager] = ResourceView

__all__ = ["ResourceView", "release_owner"]
