"""Buffers and other resources that have an owner."""

from coresys.resources.connections import Checkout, ConnectionPool
from coresys.resources.heap import HeapAccounts
from coresys.resources.lease import Lease
from coresys.resources.manager import ResourceManager
from coresys.resources.owned import OwnedResources
from coresys.resources.pools import BufferPools
from coresys.resources.shared import ForeignLease, LeaseToken
from coresys.resources.tiers import DEFAULT_TIERS, Tier
from coresys.resources.view import ResourceView

__all__ = [
    "DEFAULT_TIERS",
    "BufferPools",
    "Checkout",
    "ConnectionPool",
    "ForeignLease",
    "HeapAccounts",
    "Lease",
    "LeaseToken",
    "OwnedResources",
    "ResourceManager",
    "ResourceView",
    "Tier",
]
