"""What IResourceManager promises, and Lease."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
from conforming import WAIT, at_once

from coresys.errors.hierarchy import (
    CoreSysError,
    DuplicateResourceError,
    LeaseLimitError,
    LeaseReleasedError,
    LeaseSizeError,
    PoolExhaustedError,
    ResourcesNotClosedError,
)
from coresys.interfaces import IResourceManager, Lease

ROLE = "resources"


def smallest(resources: IResourceManager) -> int:
    """The bytes of the smallest buffer."""
    return min(tier.slot for tier in resources.statistics())


def all_there_are(resources: IResourceManager, owner: str) -> list[Lease]:
    """Leases of the smallest size, until there is no other."""
    leases: list[Lease] = []
    for _ in range(10_000):
        try:
            leases.append(resources.lease(1, owner=owner, timeout=0.0))
        except (PoolExhaustedError, LeaseLimitError):
            return leases
    pytest.fail("10,000 buffers and no end: this is for small pools")


def test_a_lease_is_a_buffer_of_as_many_bytes_and_says_whose_it_is(one: IResourceManager) -> None:
    lease = one.lease(10, owner="a")
    view, record = lease.view, lease.record
    assert (len(view), view.readonly) == (10, False)
    view[:] = b"0123456789"
    assert bytes(lease.view) == b"0123456789"
    assert (record.owner, record.requested) == ("a", 10)
    assert record.size >= 10
    assert record.tier in {tier.tier for tier in one.statistics()}
    assert record.where is None or record.where.path == __file__
    assert one.leases("a") == (record,)
    assert record in one.leases()
    assert one.leases("b") == ()
    lease.release()
    assert one.leases("a") == ()


def test_the_end_of_its_block_gives_a_lease_back(one: IResourceManager) -> None:
    lease = one.lease(10, owner="a")
    with lease as view:
        assert len(view) == 10
        assert len(one.leases("a")) == 1
    assert one.leases("a") == ()
    with pytest.raises(ValueError, match="released"):
        view[0]


def test_what_was_given_back_is_used_no_more(one: IResourceManager) -> None:
    lease = one.lease(10, owner="a")
    view = lease.view
    lease.release()
    uses: list[Callable[[], object]] = [lease.release, lambda: lease.view, lease.__enter__]
    for use in uses:
        with pytest.raises(LeaseReleasedError):
            use()
    with pytest.raises(ValueError, match="released"):
        view[0]


def test_a_fresh_lease_has_no_bytes_of_another_owner(one: IResourceManager) -> None:
    for lease in all_there_are(one, "a"):
        lease.view[:] = b"s"
        lease.release()
    for lease in (leases := all_there_are(one, "b")):
        assert bytes(lease.view) == b"\0"
    for lease in leases:
        lease.release()


def test_a_size_that_there_is_not_is_refused(one: IResourceManager) -> None:
    for size in (0, -1, max(tier.slot for tier in one.statistics()) + 1):
        with pytest.raises(LeaseSizeError):
            one.lease(size, owner="a")
    assert one.leases() == ()


def test_no_owner_gets_more_than_its_limit(one: IResourceManager) -> None:
    slot = smallest(one)
    one.limit("a", lease=2 * slot)
    leases = [one.lease(slot, owner="a") for _ in range(2)]
    with pytest.raises(LeaseLimitError):
        one.lease(1, owner="a")
    usage = one.usage("a")
    assert (usage.leased, usage.leases, usage.lease_limit) == (2 * slot, 2, 2 * slot)
    one.lease(1, owner="b").release()
    leases.pop().release()
    leases.append(one.lease(slot, owner="a"))
    for lease in leases:
        lease.release()


def test_a_limit_is_looked_at_before_anything_is_taken(one: IResourceManager) -> None:
    one.limit("a", lease=0)
    before = [tier.busy for tier in one.statistics()]
    with pytest.raises(LeaseLimitError):
        one.lease(1, owner="a")
    assert ([tier.busy for tier in one.statistics()], one.leases()) == (before, ())


def test_an_owner_gets_its_reserve_whatever_others_hold(one: IResourceManager) -> None:
    slot = smallest(one)
    one.limit("b", reserve=2 * slot)
    assert one.usage("b").lease_reserve == 2 * slot
    greedy = all_there_are(one, "a")
    mine = [one.lease(slot, owner="b", timeout=0.0) for _ in range(2)]
    for lease in (*greedy, *mine):
        lease.release()


def test_where_there_is_no_other_buffer_whoever_asks_is_told_in_time(one: IResourceManager) -> None:
    leases = all_there_are(one, "a")
    assert leases
    with pytest.raises((PoolExhaustedError, LeaseLimitError)):
        one.lease(1, owner="b", timeout=0.001)
    assert len(one.leases("a")) == len(leases)
    leases.pop().release()
    leases.append(one.lease(1, owner="b", timeout=0.0))
    for lease in leases:
        lease.release()


def test_the_usage_of_an_owner_is_what_it_holds(one: IResourceManager) -> None:
    one.limit("a", lease=1 << 20)
    leases = [one.lease(1, owner="a") for _ in range(2)]
    one.register("file", owner="a", close=list)
    usage, slot = one.usage("a"), smallest(one)
    assert (usage.owner, usage.leased, usage.leases, usage.resources) == ("a", 2 * slot, 2, 1)
    assert (usage.lease_limit, usage.lease_reserve) == (1 << 20, 0)
    one.release_owner("a")
    usage = one.usage("a")
    assert (usage.owner, usage.leased, usage.leases, usage.resources) == ("a", 0, 0, 0)
    for lease in leases:
        with pytest.raises(LeaseReleasedError):
            lease.release()


def test_all_that_an_owner_has_goes_with_it(one: IResourceManager) -> None:
    closed: list[str] = []
    leases = [one.lease(1, owner=owner) for owner in ("a", "a", "b")]
    for owner in ("a", "b"):
        one.register("file", owner=owner, close=partial(closed.append, owner))
    assert one.release_owner("a") == 3
    assert closed == ["a"]
    assert [each.owner for each in one.leases()] == ["b"]
    assert one.release_owner("a") == 0
    assert one.release_owner("b") == 2
    assert closed == ["a", "b"]
    for lease in leases:
        with pytest.raises(LeaseReleasedError):
            lease.release()


def test_a_name_that_an_owner_has_is_not_taken_twice(one: IResourceManager) -> None:
    closed: list[int] = []
    one.register("file", owner="a", close=partial(closed.append, 1))
    with pytest.raises(DuplicateResourceError):
        one.register("file", owner="a", close=partial(closed.append, 2))
    one.register("file", owner="b", close=partial(closed.append, 3))
    assert one.release_owner("a") == 1
    assert closed == [1]
    assert one.release_owner("b") == 1


def test_what_fails_to_close_keeps_nothing_else(one: IResourceManager) -> None:
    def fails() -> None:
        raise OSError("gone")

    closed: list[str] = []
    lease = one.lease(1, owner="a")
    one.register("first", owner="a", close=partial(closed.append, "first"))
    one.register("broken", owner="a", close=fails)
    one.register("last", owner="a", close=partial(closed.append, "last"))
    with pytest.raises(ResourcesNotClosedError, match=r"broken.*gone"):
        one.release_owner("a")
    assert sorted(closed) == ["first", "last"]
    assert (one.leases(), one.usage("a").resources) == ((), 0)
    with pytest.raises(LeaseReleasedError):
        lease.release()
    assert one.release_owner("a") == 0


def test_the_figures_have_a_record_for_each_tier(one: IResourceManager) -> None:
    before = one.statistics()
    assert len({tier.tier for tier in before}) == len(before) > 0
    with one.lease(1, owner="a"):
        meanwhile = one.statistics()
        assert meanwhile == one.statistics(), "to read it disturbs nobody"
    after = one.statistics()
    assert sum(tier.busy for tier in meanwhile) == sum(tier.busy for tier in before) + 1
    assert sum(tier.busy for tier in after) == sum(tier.busy for tier in before)
    assert sum(tier.leases for tier in after) == sum(tier.leases for tier in before) + 1


def test_many_threads_never_share_a_buffer_nor_get_too_much(one: IResourceManager) -> None:
    slot = smallest(one)
    one.limit("0", lease=slot)
    wrong: list[str] = []
    owners = ("0", "0", "1", "2", "3", "4")
    all_have_asked, all_have_looked = threading.Barrier(len(owners)), threading.Barrier(len(owners))

    def work(name: str, mark: bytes) -> None:
        for _ in range(20):
            lease = None
            try:
                lease = one.lease(len(mark), owner=name, timeout=0.0)
                lease.view[:] = mark
            except (PoolExhaustedError, LeaseLimitError):
                pass
            all_have_asked.wait(WAIT)
            if lease is not None and bytes(lease.view) != mark:
                wrong.append("a buffer is lent twice")
            if one.usage("0").leased > slot:
                wrong.append("an owner has more than its limit")
            all_have_looked.wait(WAIT)
            if lease is not None:
                lease.release()

    at_once(*(partial(work, name, f"{number}".encode()) for number, name in enumerate(owners)))
    assert wrong == []
    assert one.leases() == ()


def test_two_never_meet(one: IResourceManager, other: IResourceManager) -> None:
    closed: list[str] = []
    one.limit("a", lease=smallest(one))
    for each, name in ((one, "one"), (other, "other")):
        each.register("file", owner="a", close=partial(closed.append, name))
    with one.lease(1, owner="a"), pytest.raises(LeaseLimitError):
        one.lease(1, owner="a")
    theirs = [other.lease(1, owner="a") for _ in range(2)]
    assert other.usage("a").lease_limit is None
    mine = one.lease(1, owner="a")
    assert [each.owner for each in one.leases()] == ["a"]
    assert [each.owner for each in other.leases()] == ["a", "a"]
    assert one.release_owner("a") == 2
    assert (len(other.leases("a")), other.usage("a").resources, closed) == (2, 1, ["one"])
    for lease in theirs:
        lease.release()
    assert other.release_owner("a") == 1
    with pytest.raises(CoreSysError):
        mine.release()
