"""Buffers that are lent: sizes, limits, reserves, whoever waits, and what is never given back."""

from __future__ import annotations

import gc
import os
import pickle
import random
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from interrupting import NOT_TRACED, Hitting, untraced

from coresys.errors.hierarchy import (
    LeaseInUseError,
    LeaseLimitError,
    LeaseReleasedError,
    LeaseSizeError,
    PoolExhaustedError,
    PoolsClosedError,
    ReentrantCallError,
)
from coresys.resources.lease import Lease
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import DEFAULT_TIERS, Tier, checked

SMALL = (Tier("small", 4096, 4), Tier("large", 65536, 2))


def pools(**given: Any) -> BufferPools:
    return BufferPools(**{"tiers": SMALL, "timeout": 0.0, **given})


def busy(given: BufferPools) -> list[int]:
    return [tier.busy for tier in given.statistics()]


# -- sizes ----------------------------------------------------------------------------------------------------------


def test_the_default_tiers_are_those_of_the_design() -> None:
    assert [(tier.slot, tier.slots) for tier in DEFAULT_TIERS] == [(4096, 500), (65536, 250), (1048576, 125)]


@pytest.mark.parametrize(("size", "tier"), [(1, "small"), (4096, "small"), (4097, "large"), (65536, "large")], ids=str)
def test_a_buffer_comes_from_the_smallest_tier_that_has_such(size: int, tier: str) -> None:
    lease = pools().lease(size, owner="a")
    assert (lease.record.tier, lease.record.requested, len(lease.view), len(lease)) == (tier, size, size, size)
    lease.release()


@pytest.mark.parametrize("size", [0, -1, 65537])
def test_a_size_that_no_tier_has_is_refused(size: int) -> None:
    with pytest.raises(LeaseSizeError, match=rf"'a' asked for a buffer of {size} bytes; there are such of 1 to 65536"):
        pools().lease(size, owner="a")


@pytest.mark.parametrize("tiers", [(), (Tier("a", 1, 1), Tier("a", 2, 1)), (Tier("a", 1, 1), Tier("b", 1, 1))])
def test_tiers_have_names_and_sizes_of_their_own(tiers: tuple[Tier, ...]) -> None:
    with pytest.raises(ValueError, match="names and sizes of their own"):
        checked(tiers)


@pytest.mark.parametrize(("slot", "slots"), [(0, 1), (1, 0), (-1, 1)])
def test_a_tier_holds_something(slot: int, slots: int) -> None:
    with pytest.raises(ValueError, match="hold nothing"):
        Tier("a", slot, slots)


# -- lending and giving back -------------------------------------------------------------------------------------------


def test_what_is_written_is_there_until_it_is_given_back() -> None:
    given = pools()
    with given.lease(100, owner="a") as view:
        view[:] = b"x" * 100
        assert bytes(view) == b"x" * 100
        assert busy(given) == [1, 0]
    assert busy(given) == [0, 0]
    with pytest.raises(ValueError, match="released"):
        view[0]


def test_what_was_given_back_raises_for_whoever_uses_it() -> None:
    lease = pools().lease(10, owner="a")
    lease.release()
    line = sys._getframe().f_lineno - 2
    for use in (lease.release, lambda: lease.view, lease.__enter__):
        with pytest.raises(LeaseReleasedError, match=rf"of 'a' \(.*test_buffer_pools.py:{line}\) has been released"):
            use()
    assert repr(lease) == "<Lease: released>"


def test_two_leases_never_stand_on_the_same_bytes() -> None:
    given = pools()
    leases = [given.lease(4096, owner="a") for _ in range(4)]
    for number, lease in enumerate(leases):
        lease.view[:] = bytes([number]) * 4096
    assert [set(lease.view) for lease in leases] == [{0}, {1}, {2}, {3}]
    for lease in leases:
        lease.release()


def test_what_something_stands_on_cannot_be_given_back() -> None:
    given = pools()
    lease = given.lease(16, owner="a")
    stands = pickle.PickleBuffer(lease.view)  # as a call that fills it does
    with pytest.raises(LeaseInUseError, match="cannot be released while something else uses its memory"):
        lease.release()
    assert busy(given) == [1, 0]
    with pytest.raises(LeaseInUseError):
        given.release_owner("a")
    with pytest.raises(LeaseInUseError):
        given.close()
    stands.release()
    lease.release()
    assert busy(given) == [0, 0]


def test_what_something_stands_on_stays_lent_where_its_lease_is_dropped() -> None:
    given = pools()
    stands = pickle.PickleBuffer(given.lease(16, owner="a").view)
    assert len(given.leaked()) == 1
    assert busy(given) == [1, 0]
    stands.release()
    assert given.release_owner("a") == 1
    assert busy(given) == [0, 0]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the buffer protocol came to Python with 3.12")
def test_a_lease_is_a_buffer() -> None:
    lease: Any = pools().lease(4, owner="a")
    stands = memoryview(lease)
    stands[:] = b"abcd"
    assert bytes(lease.view) == b"abcd"
    with pytest.raises(LeaseInUseError):
        lease.release()
    stands.release()
    lease.release()


def test_a_file_is_read_into_a_lease(tmp_path: Any) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"some bytes")
    with pools().lease(4096, owner="a") as view, path.open("rb", buffering=0) as file:
        count = file.readinto(view)
        assert count is not None
        assert bytes(view[:count]) == b"some bytes"


def test_a_socket_receives_into_a_lease() -> None:
    given = pools()
    mine, other = socket.socketpair()
    with mine, other, given.lease(4096, owner="a") as view:
        other.sendall(b"some bytes")
        count = mine.recv_into(view)
        assert bytes(view[:count]) == b"some bytes"
    assert busy(given) == [0, 0]


def test_an_array_stands_on_a_lease_as_a_slice_does() -> None:
    numpy = pytest.importorskip("numpy")
    given = pools(debug=True)
    lease = given.lease(4096, owner="a")
    array = numpy.frombuffer(lease.view, dtype="uint8")
    array[:] = 7
    assert lease.view[4] == 7
    lease.release()
    array[0] = 8
    given.lease(1, owner="b").release()
    assert len(given.stale_writes()) == 1
    with pytest.raises(LeaseInUseError):
        given.close()
    del array
    given.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is resident is read from /proc")
def test_the_default_tiers_hold_as_many_as_they_say_and_no_two_overlap() -> None:
    given = BufferPools(exhausted="error")
    leases = []
    for tier in given.tiers:
        ours = [given.lease(tier.slot, owner="a") for _ in range(tier.slots)]
        assert all(len(lease.view) == tier.slot for lease in ours)
        with pytest.raises(PoolExhaustedError):
            given.lease(tier.slot, owner="a")
        leases.extend(ours)
    for number, lease in enumerate(leases):
        lease.view[:2] = lease.view[-2:] = number.to_bytes(2, "big")
    for number, lease in enumerate(leases):
        assert bytes(lease.view[:2]) == bytes(lease.view[-2:]) == number.to_bytes(2, "big")
    assert [tier.busy for tier in given.statistics()] == [500, 250, 125]
    assert given.release_owner("a") == 875


# -- whose bytes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zeroing", "next_owner", "seen"),
    [
        ("owner", "b", b"\0" * 8),
        ("owner", "a", b"secret!!"),
        ("always", "a", b"\0" * 8),
        ("never", "b", b"secret!!"),
    ],
)
def test_another_owner_gets_no_bytes_of_the_last(zeroing: Any, next_owner: str, seen: bytes) -> None:
    given = pools(zeroing=zeroing)
    with given.lease(8, owner="a") as view:
        view[:] = b"secret!!"
    with given.lease(4096, owner=next_owner) as view:
        assert bytes(view[:8]) == seen
        assert bytes(view[8:]) == b"\0" * 4088


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is resident is read from /proc")
def test_what_was_never_used_and_what_has_cooled_is_not_in_memory() -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    given = BufferPools(exhausted="error")  # 148 MB
    before = resident()
    leases = [given.lease(1 << 20, owner="a") for _ in range(20)]
    assert resident() - before < 2 << 20, "nothing was written"
    for lease in leases:
        lease.view[:] = b"x" * (1 << 20)
        lease.release()
    assert resident() - before > 15 << 20
    assert given.statistics()[2].idle == 20 / 125
    assert given.cool(most=2) == 18 << 20
    assert resident() - before < 6 << 20
    assert given.statistics()[2].idle == 2 / 125
    with (
        given.lease(1 << 20, owner="a") as view,
        given.lease(1 << 20, owner="a"),
        given.lease(1 << 20, owner="a") as cold,
    ):
        assert view[0] == ord("x")
        assert not any(cold[::4096])
    given.close()


# -- owners ------------------------------------------------------------------------------------------------------------


def test_an_owner_gets_no_more_than_its_limit_and_nothing_is_taken() -> None:
    given = pools()
    given.limit("a", lease=2 * 4096)
    first, second = given.lease(1, owner="a"), given.lease(4096, owner="a")
    with pytest.raises(LeaseLimitError, match=r"'a' asked for 4096 bytes and holds 8192 of the 8192 .*: its limit"):
        given.lease(1, owner="a")
    assert given.usage("a").leased == 8192
    first.release()
    given.lease(1, owner="a").release()
    second.release()
    assert given.usage("a").leased == 0
    assert given.statistics()[0].refused == 1


def test_a_large_buffer_needs_a_grant_where_the_largest_is_stated() -> None:
    given = pools()
    given.limit("a", largest=4096)
    with pytest.raises(LeaseLimitError) as raised:
        given.lease(5000, owner="a")
    told = "'a' asked for a buffer of 65536 bytes: it may take buffers of 4096 bytes at most, larger ones by a grant"
    assert str(raised.value) == told
    assert (raised.value.largest, raised.value.limit, raised.value.held) == (4096, 4096, 0)
    given.limit("a")
    given.lease(5000, owner="a").release()


def test_the_exhaustion_of_one_leaves_another_its_reserve() -> None:
    given = pools(exhausted="error")
    given.limit("b", reserve=2 * 4096)
    greedy = [given.lease(1, owner="a") for _ in range(2)]
    with pytest.raises(PoolExhaustedError, match=r"of 4, 2 free ones are kept for others; held by 'a' 2"):
        given.lease(1, owner="a")
    mine = [given.lease(1, owner="b") for _ in range(2)]
    with pytest.raises(PoolExhaustedError):
        given.lease(1, owner="b")
    for lease in (*mine, *greedy):
        lease.release()


def test_reserves_that_do_not_fit_are_refused_and_change_nothing() -> None:
    given = pools()
    given.limit("a", reserve=2 * 4096)
    for reserve, limit in ((3 * 4096, None), (4096, 10)):
        with pytest.raises(LeaseLimitError, match="reserve"):
            given.limit("b", lease=limit, reserve=reserve)
    assert given.usage("b").lease_reserve == 0
    given.limit("b", reserve=2 * 4096)


def test_what_an_owner_takes_of_one_tier_takes_nothing_from_its_reserve_in_another() -> None:
    given = pools(exhausted="error")
    given.limit("b", reserve={"small": 4, "large": 1})
    large = given.lease(65536, owner="b")
    for owner in ("a", "c"):
        with pytest.raises(PoolExhaustedError, match="4 free ones are kept for others"):
            given.lease(1, owner=owner)
    large.release()
    small = [given.lease(1, owner="b") for _ in range(4)]
    for lease in small:
        lease.release()


def test_a_reserve_by_tiers_leaves_the_others_alone() -> None:
    given = pools(exhausted="error")
    for owner in "ab":
        given.limit(owner, reserve={"large": 1})
    assert given.usage("a").lease_reserve == 65536
    taken = [given.lease(1, owner="c") for _ in range(4)]
    with pytest.raises(PoolExhaustedError, match="2 free ones are kept for others"):
        given.lease(65536, owner="c")
    with pytest.raises(LeaseLimitError, match=r"1 large slots do not fit beside the 2 of 2 .*reserve=\{'large': 1\}"):
        given.limit("c", reserve={"large": 1})
    with pytest.raises(ValueError, match="there is no tier 'huge'; there are small, large"):
        given.limit("c", reserve={"huge": 1})
    with pytest.raises(ValueError, match="less than nothing"):
        given.limit("c", reserve=-1)
    for lease in (*taken, *(given.lease(65536, owner=owner) for owner in "ab")):
        lease.release()


def test_owners_that_hold_nothing_are_not_kept_for_ever() -> None:
    given = pools()
    given.limit("declared", reserve=4096)
    held = given.lease(1, owner="holds")
    for number in range(10_000):
        given.lease(1, owner=f"request {number}").release()
    assert len(given._accounts) <= 64
    assert (given.usage("declared").lease_reserve, given.usage("holds").leased) == (4096, 4096)
    assert given.usage("request 1").leased == 0
    held.release()


def test_an_owner_that_is_gone_leaves_nothing_and_its_views_raise() -> None:
    given = pools()
    leases, other = [given.lease(10, owner="a") for _ in range(3)], given.lease(10, owner="b")
    view = leases[0].view
    assert given.release_owner("a") == 3
    assert [record.owner for record in given.leases()] == ["b"]
    for use in (lambda: view[0], lambda: leases[0].view, leases[0].release):
        with pytest.raises(ValueError, match="released"):
            use()
    other.release()
    leases.clear()
    assert given.leaked() == ()


# -- exhaustion --------------------------------------------------------------------------------------------------------


def test_overflow_is_on_the_heap_counted_and_charged() -> None:
    given = pools(exhausted="overflow")
    given.limit("a", lease=6 * 4096)
    leases = [given.lease(4096, owner="a") for _ in range(6)]
    assert given.statistics()[0].overflowed == 2
    assert busy(given) == [4, 0]
    with pytest.raises(LeaseLimitError):
        given.lease(1, owner="a")
    for lease in leases:
        lease.release()
    assert given.usage("a").leased == 0


def waits(given: BufferPools, order: list[str], owner: str, line: int) -> threading.Thread:
    """A thread that waits for a buffer, once it stands in line as the ``line``-th."""

    def run() -> None:
        lease = given.lease(1, owner=owner, timeout=30)
        order.append(owner)
        lease.release()

    thread = threading.Thread(target=run)
    thread.start()
    while len(given._waiting) < line:
        pass
    return thread


def test_who_came_first_is_served_first() -> None:
    given, order = pools(), list[str]()
    held = [given.lease(1, owner="holder") for _ in range(4)]
    threads = [waits(given, order, name, line) for line, name in enumerate("abcdef", 1)]
    held[0].release()
    for thread in threads:
        thread.join()
    assert order == list("abcdef")
    assert given.statistics()[0].most_busy == 4


def test_room_that_an_owner_makes_in_one_tier_serves_its_wait_in_another() -> None:
    given, order = pools(), list[str]()
    held = [given.lease(1, owner="holder") for _ in range(4)]
    given.limit("a", lease=65536 + 4095)
    thread = waits(given, order, "a", 1)
    large = given.lease(65536, owner="a")  # it waits for a small one, which would be too much from now on
    held.pop().release()
    assert given._waiting
    large.release()
    thread.join()
    assert order == ["a"]
    for lease in held:
        lease.release()


def test_a_wait_may_be_for_ever() -> None:
    given, order = pools(timeout=float("inf")), list[str]()
    held = [given.lease(1, owner="holder") for _ in range(4)]
    thread = waits(given, order, "a", 1)
    with pytest.raises(PoolExhaustedError):
        given.lease(1, owner="b", timeout=-1)
    held.pop().release()
    thread.join()
    for lease in held:
        lease.release()


def test_who_waited_in_vain_looks_once_more() -> None:
    given = pools(exhausted="error")
    kept = [given.lease(1, owner="a") for _ in range(4)]
    stands = pickle.PickleBuffer(kept.pop().view)
    with pytest.raises(PoolExhaustedError):
        given.lease(1, owner="b")
    assert [record.owner for record in given.leaked()] == ["a"]
    stands.release()  # nobody tells of this
    given.lease(1, owner="b").release()
    assert len(given.leaked()) == 1, "told once"
    for lease in kept:
        lease.release()


def test_a_timeout_names_who_holds_the_buffers() -> None:
    given = pools()
    held = [given.lease(1, owner="a") for _ in range(3)] + [given.lease(1, owner="b")]
    with pytest.raises(
        PoolExhaustedError, match=r"no small buffer was free for 'c' within .* s: of 4; held by 'a' 3, 'b' 1"
    ):
        given.lease(1, owner="c", timeout=0.01)
    assert not given._waiting
    assert given.statistics()[0].refused == 1
    for lease in held:
        lease.release()


def test_one_that_waits_gets_the_slot_of_a_lease_that_was_dropped() -> None:
    given = pools()
    held = [given.lease(1, owner="a") for _ in range(4)]
    order: list[str] = []
    thread = waits(given, order, "b", 1)
    del held[0]
    gc.collect()
    given.take_back_orphans()
    thread.join()
    assert order == ["b"]
    assert [record.owner for record in given.leaked()] == ["a"]
    for lease in held:
        lease.release()


def test_external_fragmentation_is_told_where_free_bytes_were_of_no_use() -> None:
    given = pools(exhausted="error")
    large = [given.lease(65536, owner="a") for _ in range(2)]
    assert [tier.external for tier in given.statistics()] == [0.0, 0.0]
    with pytest.raises(PoolExhaustedError):
        given.lease(65536, owner="a")
    whole = 4 * 4096 + 2 * 65536
    assert [tier.external for tier in given.statistics()] == [0.0, 4 * 4096 / whole]
    large.pop().release()
    large.append(given.lease(65536, owner="a"))
    assert [tier.external for tier in given.statistics()] == [0.0, 0.0]
    for lease in large:
        lease.release()


def test_internal_fragmentation_is_what_was_not_asked_for() -> None:
    given = pools()
    with given.lease(1024, owner="a"), given.lease(4096, owner="a"):
        assert given.statistics()[0].internal == pytest.approx(1 - 5120 / 8192)


# -- what is never given back ------------------------------------------------------------------------------------------


def test_a_lease_that_is_dropped_is_told_with_its_place_and_taken_back() -> None:
    told: list[Any] = []
    given = pools(on_leak=told.append)
    given.lease(100, owner="a")
    line = sys._getframe().f_lineno - 1
    (record,) = given.leaked()
    assert told == [record]
    assert (record.owner, record.requested) == ("a", 100)
    assert str(record.where) == f"{__file__}:{line}"
    assert busy(given) == [0, 0]


def test_a_view_of_a_dropped_lease_raises_rather_than_stand_on_anothers_bytes() -> None:
    given = pools()
    view = given.lease(100, owner="a").view
    given.lease(100, owner="b").release()
    with pytest.raises(ValueError, match="released"):
        view[0] = 1


def test_a_listener_that_raises_takes_nothing_from_the_request_that_came_by() -> None:
    def fails(record: object) -> None:
        raise RuntimeError("of the user's")

    given = pools(on_leak=fails)
    given.lease(100, owner="a")
    given.lease(100, owner="b").release()
    assert len(given.leaked()) == 1


def test_debugging_finds_who_writes_through_a_slice_after_it_was_given_back() -> None:
    given = pools(debug=True)
    lease = given.lease(100, owner="a")
    stale = lease.view[10:20]
    lease.release()
    given.lease(100, owner="a").release()
    assert given.stale_writes() == ()
    stale[0] = 7
    given.lease(100, owner="b").release()
    assert given.stale_writes() == ("small slot 0, which 'a' had, was written to after that",)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_what_is_closed_lends_nothing_and_wakes_whoever_waits() -> None:
    given, order = pools(), list[str]()
    lease = given.lease(1, owner="a")
    given.limit("b", reserve=4 * 4096)
    lease.release()
    problems: list[Exception] = []

    def wait() -> None:
        try:
            given.lease(1, owner="a", timeout=30)
        except PoolsClosedError as error:
            problems.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not given._waiting:
        pass
    given.close()
    thread.join()
    given.close()
    for use in (lambda: given.lease(1, owner="a"), lambda: given.lease(9**9, owner="a"), given.statistics):
        with pytest.raises(PoolsClosedError, match="the pools have been closed"):
            use()
    assert str(problems[0]) == "'a' asked for a buffer, but the pools have been closed"
    assert (given.leases(), given.leaked(), given.cool(), order) == ((), (), 0, [])
    assert repr(given) == "<BufferPools: closed>"


def test_what_was_busy_is_remembered_where_the_pools_could_not_be_closed() -> None:
    given = BufferPools((Tier("small", 64, 4), Tier("large", 4096, 2)))
    leases = [given.lease(size, owner="a") for size in (1, 1, 1, 4096)]
    kept = leases[-1].view[:1]
    for lease in leases:
        lease.release()
    with pytest.raises(LeaseInUseError):
        given.close()
    given.lease(1, owner="a").release()
    assert [tier.most_busy for tier in given.statistics()] == [3, 1]
    kept.release()
    given.close()


def test_places_are_found_without_looking_into_the_code() -> None:
    """A code object is hashed with all its constants, each time: that of a module takes half a microsecond."""
    looked = []

    class Looking(str):
        def __hash__(self) -> int:
            looked.append(self)
            return super().__hash__()

    def taking(given: BufferPools) -> Lease:
        return given.lease(1, owner="a")

    code = taking.__code__
    taking.__code__ = code.replace(co_consts=(*code.co_consts, Looking("of the user's")))
    hash(taking.__code__)
    assert looked
    looked.clear()
    taking(BufferPools()).release()
    assert looked == []


def test_a_slice_that_is_alive_keeps_the_pools_open_and_whole() -> None:
    given = pools()
    lease = given.lease(65536, owner="a")
    piece = lease.view[:4]
    lease.release()
    with pytest.raises(LeaseInUseError, match="a slice of a large buffer"):
        given.close()
    for size in (1, 65536):
        with given.lease(size, owner="b") as view:
            view[0] = 1
    assert busy(given) == [0, 0]
    piece.release()
    given.close()


# -- threads, forks, interruptions -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_slot_is_lent_twice_by_eight_threads() -> None:
    given = BufferPools((Tier("small", 64, 12), Tier("large", 256, 3)), timeout=30)
    given.limit("0", reserve=128)
    wrong: list[str] = []

    def work(name: str) -> None:
        chosen = random.Random(name)
        for turn in range(2000):
            with given.lease(chosen.choice((8, 64, 256)), owner=name) as view:
                mark = f"{name}{turn:07}".encode()
                view[:8] = mark
                if chosen.random() < 0.05:
                    threading.Event().wait(0)
                if bytes(view[:8]) != mark:
                    wrong.append(name)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert busy(given) == [0, 0]
    assert sum(tier.leases for tier in given.statistics()) == 16_000
    assert all(given.usage(str(number)).leased == 0 for number in range(8))


def consistent(given: BufferPools, where: str) -> None:
    """Every slot is in one place, and what is charged is what is lent."""
    for at, slab in enumerate(given._slabs):
        taken = [lent.slot for lent in given._all_lent() if lent.tier == at and lent.slot >= 0]
        places = [*taken, *slab.warm, *slab.cold, *range(slab.fresh, slab.slots)]
        assert sorted(places) == list(range(slab.slots)), where
    for name, account in given._accounts.items():
        sizes = [given._sizes[lent.tier] for lent in given._all_lent() if lent.account.name == name]
        assert (account.held, account.leases) == (sum(sizes), len(sizes)), where
        assert account.kept == [account.keeps(tier) for tier in range(len(given._sizes))], where
    kept = [sum(each) for each in zip(*(account.kept for account in given._accounts.values()), strict=True)]
    assert [each.kept for each in given._figures] == kept, where


@pytest.fixture
def light_heap() -> Iterator[None]:
    """What is there already is not looked through each time that garbage is collected."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


RESOURCES = tuple(f"coresys.resources.{name}" for name in ("pools", "lending", "slab"))
FILES = {sys.modules[name].__file__ for name in RESOURCES}


@NOT_TRACED
@pytest.mark.skipif(sys.version_info < (3, 11), reason="a with statement of 3.10 may be interrupted before its block")
@pytest.mark.parametrize("what", ["lease", "release", "orphan", "serve", "owner"])
@pytest.mark.usefixtures("light_heap")
def test_an_interruption_at_any_place_loses_no_slot(what: str) -> None:
    at, there_are_more = 0, True
    while there_are_more:
        at += 1
        given = pools(exhausted="error")
        given.limit("a", reserve=4096)
        kept: list[Lease] = [given.lease(8, owner="b")]

        def work(given: BufferPools = given, kept: list[Lease] = kept) -> None:
            if what == "release":
                kept[0].release()
            elif what == "orphan":
                kept.clear()
                given.take_back_orphans()
            elif what == "owner":
                given.release_owner("b")
            elif what == "serve":
                given.limit("a", reserve=8192)
            else:
                kept.append(given.lease(8, owner="a"))

        hitting = Hitting(FILES, at, same_handler=True)
        there_are_more = hitting.watching(work)
        where = f"{what}, {hitting.where}"
        assert given._lock.acquire(timeout=1), where
        given._lock.release()
        consistent(given, where)
        kept.clear()
        gc.collect()
        given.take_back_orphans()
        consistent(given, where)
        assert busy(given) == [0, 0], where
    assert at > 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_in_a_forked_child_the_lock_is_free_and_nobody_waits() -> None:
    given, order = pools(), list[str]()
    held = [given.lease(1, owner="holder") for _ in range(4)]
    thread = waits(given, order, "b", 1)
    given._lock.acquire()  # as if another thread were inside
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            held[0].release()
            given.lease(1, owner="c").release()
            status = 0 if not given._waiting else 2
        finally:
            os._exit(status)
    given._lock.release()
    assert os.waitpid(pid, 0)[1] == 0
    for lease in held:
        lease.release()
    thread.join()


def in_child(work: Any) -> None:
    """Run it in a forked child; fails where it raises or prints that something in a hook for forks did."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.dup2(write, 2)
            work()
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with open(read, "rb") as told:
        assert told.read() == b""
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_after_the_end_renews_all_others() -> None:
    closed, given = pools(), pools()
    closed.close()
    given._lock.acquire()

    def work() -> None:
        assert given._lock.acquire(timeout=10)
        given._lock.release()

    in_child(work)
    given._lock.release()


@NOT_TRACED
@pytest.mark.skipif(sys.version_info < (3, 11), reason="a with statement of 3.10 may be interrupted before its block")
@pytest.mark.parametrize("what", ["lease", "release", "orphan", "limit", "statistics", "overflow"])
@pytest.mark.usefixtures("light_heap")
def test_a_handler_of_a_signal_never_waits_for_the_thread_that_it_interrupts(what: str) -> None:
    at, there_are_more, refused = 0, True, 0
    while there_are_more:
        at += 1
        given = pools(exhausted="overflow" if what == "overflow" else "error")
        given.limit("a", reserve=4096)
        kept: list[Lease] = [given.lease(8, owner="b")]
        handlers: list[Lease] = [given.lease(8, owner="b")]
        said: list[str] = []

        def come_in(given: BufferPools = given, handlers: list[Lease] = handlers, said: list[str] = said) -> None:
            handlers.pop().release()
            try:
                given.lease(8, owner="c").release()
                given.statistics()
            except ReentrantCallError as error:
                said.append(error.action)

        def work(given: BufferPools = given, kept: list[Lease] = kept) -> None:
            if what == "release":
                kept.pop().release()
            elif what == "orphan":
                kept.clear()
                given.take_back_orphans()
            elif what == "limit":
                given.limit("a", reserve=8192)
            elif what == "statistics":
                given.statistics()
            else:
                kept.append(given.lease(8, owner="a"))

        hitting = Hitting(FILES, at, untraced(come_in))
        there_are_more = hitting.watching(work)
        where = f"{what}, {hitting.where}"
        assert given._lock.acquire(timeout=1), where
        given._lock.release()
        given.take_back_orphans()
        consistent(given, where)
        assert given.usage("c").leased == 0, where
        assert not there_are_more or not handlers, where
        assert [record.owner for record in given.leaked()] == (["b"] if what == "orphan" else []), where
        refused += len(said)
        for lease in kept:
            lease.release()
        handlers.clear()
        assert busy(given) == [0, 0], where
    assert refused > 3, "it came in while the lock was held"


def test_the_collector_may_give_back_in_the_middle_of_anything() -> None:
    given = pools(exhausted="overflow")

    class Upload:
        def __init__(self) -> None:
            self.lease, self.me = given.lease(8, owner="a"), self

        def __del__(self) -> None:
            self.lease.release()

    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(300):
            Upload()
            given.statistics()
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert busy(given) == [0, 0]
    assert given.usage("a").leased == 0


@NOT_TRACED
@pytest.mark.skipif(sys.version_info < (3, 11), reason="places are told apart by tables that came with 3.11")
@pytest.mark.usefixtures("light_heap")
def test_an_interruption_while_a_slot_is_poisoned_blames_nobody() -> None:
    at, there_are_more = 0, True
    while there_are_more:
        at += 1
        given = pools(debug=True)
        lease = given.lease(100, owner="a")
        hitting = Hitting(FILES, at, same_handler=True)
        there_are_more = hitting.watching(lease.release)
        del lease
        gc.collect()
        for _ in range(6):
            given.lease(4096, owner="b").release()
        assert given.stale_writes() == (), hitting.where
    assert at > 5
