"""What the manager and its views have beside IResourceManager, and how they word it; see tests/conformance for that."""

from __future__ import annotations

import pickle
import random
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from storms import no_threads_left, stormy

from coresys.errors.hierarchy import (
    DuplicateResourceError,
    HeapLimitError,
    LeaseInUseError,
    LeaseLimitError,
    LeaseReleasedError,
    LeaseSizeError,
    PoolExhaustedError,
)
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier
from coresys.resources.view import ResourceView

__all__ = ["no_threads_left", "stormy"]  # fixtures

KIB = 1024
Subject = ResourceManager | ResourceView
OTHERS = ("another", "t", "t/x", "b")  # of the rest, which hold a buffer each of 16 KiB


def whole() -> ResourceManager:
    return ResourceManager(BufferPools((Tier("small", 4 * KIB, 4), Tier("large", 64 * KIB, 2)), timeout=0.0))


def beside() -> ResourceManager:
    """A manager with room for a part as large as the one above, beside what others have."""
    tiers = Tier("small", 4 * KIB, 4 + len(OTHERS)), Tier("large", 64 * KIB, 2)
    return ResourceManager(BufferPools(tiers, timeout=0.0))


def part() -> ResourceView:
    return beside().view("t", lease=4 * 4 * KIB + 2 * 64 * KIB)


def part_of_a_part() -> ResourceView:
    return beside().view("t").view("a", lease=4 * 4 * KIB + 2 * 64 * KIB)


@pytest.fixture(params=[whole, part, part_of_a_part], ids=lambda make: make.__name__)
def resources(request: pytest.FixtureRequest) -> Iterator[Subject]:
    make: Callable[[], Subject] = request.param
    made = make()
    if isinstance(made, ResourceManager):
        yield made
        return
    rest = ResourceManager(made._pools, made._heap)
    rest.owned = made._owned
    others = [rest.lease(1, owner=f"rest {name}") for name in OTHERS]
    for lease in others:
        lease.view[0] = 7
    rest.register("file", owner="rest", close=lambda: None)
    yield made
    assert [lease.view[0] for lease in others] == [7] * len(OTHERS), "others are left alone"
    assert rest.usage("rest").resources == 1


def busy(resources: Subject) -> list[int]:
    return [tier.busy for tier in resources.statistics()]


def test_a_lease_says_whose_it_is_and_where_it_was_asked_for(resources: Subject) -> None:
    lease = resources.lease(100, owner="a")
    line = sys._getframe().f_lineno - 1
    assert (lease.record.owner, lease.record.tier, lease.record.size, lease.record.requested) == (
        "a",
        "small",
        4 * KIB,
        100,
    )
    assert str(lease.record.where) == f"{__file__}:{line}"
    assert resources.leases() == resources.leases("a") == (lease.record,)
    assert resources.leases("b") == ()
    lease.release()
    assert resources.leases() == ()


@pytest.mark.parametrize("size", [0, -1, 64 * KIB + 1])
def test_a_size_that_no_tier_has_is_refused(resources: Subject, size: int) -> None:
    with pytest.raises(LeaseSizeError, match=r"^'a' asked"):
        resources.lease(size, owner="a")


def test_no_owner_gets_more_than_its_limit(resources: Subject) -> None:
    resources.limit("a", lease=2 * 4 * KIB)
    leases = [resources.lease(1, owner="a") for _ in range(2)]
    with pytest.raises(LeaseLimitError, match=r"'a' asked for 4096 bytes and holds 8192 of the 8192 .*: its limit"):
        resources.lease(1, owner="a")
    assert (resources.usage("a").leased, resources.usage("a").lease_limit) == (8192, 8192)
    assert resources.statistics()[0].refused == 1
    leases.pop().release()
    leases.append(resources.lease(1, owner="a"))
    resources.lease(1, owner="b").release()
    for lease in leases:
        lease.release()


def test_a_large_buffer_is_had_by_an_explicit_grant(resources: Subject) -> None:
    resources.limit("a", lease=2 * 4 * KIB, largest=4 * KIB)
    with pytest.raises(LeaseLimitError):
        resources.lease(64 * KIB, owner="a")
    resources.grant("a", 64 * KIB)
    assert resources.usage("a").lease_granted == 64 * KIB
    leases = [resources.lease(size, owner="a") for size in (5 * KIB, 1, 1)]
    for size in (5 * KIB, 1):
        with pytest.raises(LeaseLimitError, match=r"granted beside it|by a grant"):
            resources.lease(size, owner="a")
    resources.grant("a", 64 * KIB, 0)
    leases.pop(0).release()
    with pytest.raises(LeaseLimitError):
        resources.lease(64 * KIB, owner="a")
    with pytest.raises(ValueError, match="less than nothing"):
        resources.grant("a", 1, -1)
    for lease in leases:
        lease.release()


def test_an_owner_gets_its_reserve_whatever_others_hold(resources: Subject) -> None:
    resources.limit("b", reserve={"small": 2})
    greedy = [resources.lease(1, owner="a") for _ in range(2)]
    with pytest.raises((PoolExhaustedError, LeaseLimitError)):
        resources.lease(1, owner="a")
    mine = [resources.lease(1, owner="b") for _ in range(2)]
    for lease in (*greedy, *mine):
        lease.release()
    assert resources.usage("b").lease_reserve == 8192


def test_a_reserve_that_does_not_fit_changes_nothing(resources: Subject) -> None:
    resources.limit("a", reserve={"large": 2})
    with pytest.raises(LeaseLimitError, match="reserve"):
        resources.limit("b", reserve={"large": 1})
    assert resources.usage("b").lease_reserve == 0
    leases = [resources.lease(64 * KIB, owner="a") for _ in range(2)]
    for lease in leases:
        lease.release()


def test_all_that_an_owner_has_goes_with_it(resources: Subject) -> None:
    order: list[str] = []
    leases = [resources.lease(1, owner="a") for _ in range(2)]
    other = resources.lease(1, owner="b")
    for name in ("file", "cursor"):
        resources.register(name, owner="a", close=lambda name=name: order.append(name))  # type: ignore[misc]
    resources.register("file", owner="b", close=lambda: order.append("of b"))
    with pytest.raises(DuplicateResourceError, match=r"^'a' has a resource 'file' already"):
        resources.register("file", owner="a", close=list)
    assert (resources.usage("a").leases, resources.usage("a").resources) == (2, 2)
    assert resources.release_owner("a") == 4
    assert order == ["cursor", "file"]
    assert [record.owner for record in resources.leases()] == ["b"]
    assert resources.release_owner("a") == 0
    assert resources.release_owner("b") == 2
    for lease in (*leases, other):
        with pytest.raises(LeaseReleasedError):
            lease.release()


def test_what_something_stands_on_stays_lent(resources: Subject) -> None:
    lease = resources.lease(16, owner="a")
    stands = pickle.PickleBuffer(lease.view)
    for attempt in (lease.release, lambda: resources.release_owner("a")):
        with pytest.raises(LeaseInUseError, match="of 'a'"):
            attempt()
    assert [record.number for record in resources.leases("a")] == [lease.record.number]
    stands.release()
    assert resources.release_owner("a") == 1


def test_the_heap_is_an_account_apart_from_leases(resources: Subject) -> None:
    assert resources.usage("a").heap is None
    kept = [bytearray(300 * KIB)]
    resources.heap_roots("a", lambda: kept)
    with resources.lease(4 * KIB, owner="a"):
        usage = resources.usage("a")
    heap = usage.heap
    assert heap is not None
    assert (usage.leased, heap.owner, heap.limit, heap.verdict, heap.method) == (
        4 * KIB,
        "a",
        500 * KIB,
        "within",
        "roots",
    )
    assert 300 * KIB <= heap.known <= 301 * KIB
    resources.heap_limit("a", 64 * KIB)
    with pytest.raises(HeapLimitError, match=r"'.*a' may not take more of the heap: \d+ bytes are held of 65536: its"):
        resources.heap_block("a").__enter__()
    heap = resources.usage("a").heap
    assert heap is not None
    assert heap.verdict == "over"


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_eight_threads_never_get_more_than_is_allowed(resources: Subject) -> None:
    resources.limit("0", lease=4 * KIB)
    resources.limit("1", reserve={"small": 1})
    wrong: list[str] = []

    def work(name: str) -> None:
        chosen = random.Random(name)
        for turn in range(400):
            mark = f"{name}{turn:07}".encode()
            try:
                with resources.lease(chosen.choice((8, 64 * KIB)), owner=name, timeout=0.01) as view:
                    if bytes(view[:8]).strip(b"\0") and not bytes(view[:8]).startswith(name.encode()):
                        wrong.append(f"{name} sees {bytes(view[:8])!r}")
                    view[:8] = mark
                    if resources.usage("0").leased > 4 * KIB:
                        wrong.append("0 has more than its limit")
                    if bytes(view[:8]) != mark:
                        wrong.append(f"{name} does not stand alone")
            except (PoolExhaustedError, LeaseLimitError):
                pass

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert busy(resources) == [0, 0]
