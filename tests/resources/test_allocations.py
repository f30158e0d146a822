"""Who asked for buffers of which tier: counted by owner, whatever becomes of the owner's account."""

from __future__ import annotations

import threading
from collections import Counter
from random import Random

import pytest

from coresys.errors.hierarchy import LeaseLimitError, LeaseSizeError, PoolExhaustedError
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import OTHERS, BufferPools
from coresys.resources.tiers import Tier
from coresys.system_records import AllocationRecord

TIERS = (Tier("small", 4096, 4), Tier("large", 65536, 2))


def test_requests_are_counted_by_owner_and_tier_with_those_that_were_refused() -> None:
    resources = ResourceManager(BufferPools(TIERS, timeout=0.0))
    resources.limit("mail", lease=4096)
    with resources.lease(1, owner="web"), resources.lease(4097, owner="web"), resources.lease(5000, owner="web"):
        with pytest.raises(PoolExhaustedError):
            resources.lease(5000, owner="web")
        with resources.lease(4096, owner="mail"), pytest.raises(LeaseLimitError):
            resources.lease(1, owner="mail")
        with pytest.raises(LeaseSizeError):  # of no tier
            resources.lease(10**6, owner="web")
    assert resources.allocations() == (
        AllocationRecord("mail", "small", 4096, 1, 1),
        AllocationRecord("web", "small", 4096, 1, 0),
        AllocationRecord("web", "large", 65536, 2, 1),
    )


def test_what_is_lent_on_the_heap_counts_too() -> None:
    pools = BufferPools((Tier("small", 4096, 1),), exhausted="overflow")
    with pools.lease(1, owner="web"), pools.lease(1, owner="web"):
        assert pools.allocations() == (AllocationRecord("web", "small", 4096, 2, 0),)


def test_owners_that_are_forgotten_are_summed_up() -> None:
    resources = ResourceManager(BufferPools(TIERS, timeout=0.0))
    for number in range(3000):  # more than accounts of owners that hold nothing are kept
        resources.lease(1, owner=f"owner {number}").release()
    found = resources.allocations()
    assert sum(each.leases for each in found) == 3000
    assert found[-1].owner == OTHERS
    part = resources.view("orders", lease=8192)
    part.lease(1, owner="upload").release()
    part.close()
    assert sum(each.leases for each in resources.allocations()) == 3001
    assert "orders/upload" not in {each.owner for each in resources.allocations()}


def test_all_that_threads_ask_for_is_counted() -> None:
    resources = ResourceManager(BufferPools((Tier("small", 4096, 3), Tier("large", 65536, 2)), timeout=0.0))
    made: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()

    def storm(number: int) -> None:
        dice = Random(number)
        for _ in range(300):
            owner, size = f"owner {dice.randrange(3)}", dice.choice((10, 4096, 10_000))
            key = owner, "small" if size <= 4096 else "large"
            try:
                resources.lease(size, owner=owner).release()
            except PoolExhaustedError:
                with lock:
                    refused[key] += 1
            else:
                with lock:
                    made[key] += 1

    threads = [threading.Thread(target=storm, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {(each.owner, each.tier): (each.leases, each.refused) for each in resources.allocations()}
    assert found == {key: (made[key], refused[key]) for key in {*made, *refused}}
