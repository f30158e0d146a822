"""A view: owners that are bounded together, and closed together with the list of what they left."""

from __future__ import annotations

import pickle
import sys
import threading

import pytest
from interrupting import NOT_TRACED, Hitting, untraced

from coresys.errors.hierarchy import (
    DuplicateChannelError,
    LeaseLimitError,
    LeaseReleasedError,
    PoolExhaustedError,
    PoolsClosedError,
    ReentrantCallError,
)
from coresys.resources.lease import Lease
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier

KIB = 1024
TIERS = Tier("small", 4 * KIB, 4), Tier("large", 64 * KIB, 2)


def manager() -> ResourceManager:
    return ResourceManager(BufferPools(TIERS, timeout=0.0))


def kept_of(pools: BufferPools) -> list[int]:
    return [each.kept for each in pools._figures]


def test_all_owners_together_hold_no_more_than_the_limit() -> None:
    resources = manager()
    view = resources.view("t", lease=3 * 4 * KIB)
    leases = [view.lease(1, owner=owner) for owner in "aab"]
    with pytest.raises(
        LeaseLimitError,
        match=r"'c' asked for 4096 bytes and all in channel 't' together hold 12288 of the 12288 .*: its limit",
    ) as refused:
        view.lease(1, owner="c")
    assert (refused.value.channel, refused.value.held) == ("t", 12288)
    with pytest.raises(LeaseLimitError):
        resources.lease(1, owner="t/d")  # by its full name it is in there too
    assert (view.usage_of_all().leased, view.usage_of_all().lease_limit, view.usage_of_all().leases) == (
        12288,
        12288,
        3,
    )
    resources.lease(1, owner="other").release()
    for lease in leases:
        lease.release()
    assert view.usage_of_all().leased == 0


def test_the_reserve_of_a_view_is_for_any_of_its_owners_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = manager()
    view = resources.view("t", reserve={"small": 3})
    other = resources.lease(1, owner="other")
    with pytest.raises(PoolExhaustedError, match="3 free ones are kept for others"):
        resources.lease(1, owner="other")
    monkeypatch.setattr(resources.pools, "_queue", None)  # nobody has to wait
    leases = [view.lease(1, owner=owner) for owner in "abc"]
    other.release()
    leases.append(view.lease(1, owner="d"))
    for lease in leases:
        lease.release()


def test_a_reserve_within_comes_out_of_that_of_the_view() -> None:
    resources = manager()
    view = resources.view("t", reserve={"small": 3})
    view.limit("a", reserve={"small": 2})
    resources.limit("other", reserve={"small": 1})
    with pytest.raises(LeaseLimitError, match="do not fit beside the 3 of 4"):
        resources.limit("other", reserve={"small": 2})
    with pytest.raises(LeaseLimitError, match="2 small slots do not fit beside the 4 of 4"):
        view.limit("b", reserve={"small": 2})
    first = view.lease(1, owner="b")
    with pytest.raises(PoolExhaustedError):
        view.lease(1, owner="b")  # two are kept for a, and one for other
    leases = [view.lease(1, owner="a") for _ in range(2)]
    leases.append(resources.lease(1, owner="other"))
    for lease in (first, *leases):
        lease.release()
    assert kept_of(resources.pools) == [4, 0]


def test_the_limit_of_a_view_leaves_its_owners_what_is_reserved_for_them() -> None:
    view = manager().view("t", lease=3 * 4 * KIB)
    view.limit("a", reserve={"small": 2})
    first = view.lease(1, owner="b")
    with pytest.raises(LeaseLimitError, match="the limit of the channel, of which 8192 are kept for others"):
        view.lease(1, owner="b")
    leases = [view.lease(1, owner="a") for _ in range(2)]
    with pytest.raises(LeaseLimitError, match="above the limit of channel 't'"):
        view.limit("b", reserve={"small": 2})
    for lease in (first, *leases):
        lease.release()


def test_a_view_of_a_view_is_bounded_by_both() -> None:
    resources = manager()
    outer = resources.view("t", lease=3 * 4 * KIB)
    inner = outer.view("i", lease=2 * 4 * KIB)
    inner.limit("a", reserve=4 * KIB)
    first, second = outer.lease(1, owner="x"), outer.lease(1, owner="y")
    with pytest.raises(LeaseLimitError, match=r"channel 't' together hold 8192 of the 12288 .* 4096 are kept"):
        outer.lease(1, owner="x")
    mine = inner.lease(1, owner="a")
    with pytest.raises(LeaseLimitError, match="channel 't'"):
        inner.lease(1, owner="b")
    first.release()
    other = inner.lease(1, owner="b")
    second.release()
    with pytest.raises(LeaseLimitError, match="channel 't/i'"):
        inner.lease(1, owner="b")
    assert [record.owner for record in outer.leases()] == ["i/a", "i/b"]
    assert outer.usage_of_all().leased == inner.usage_of_all().leased == 8192
    left = outer.close()
    assert [record.owner for record in left.leases] == ["i/a", "i/b"]
    for lease in (mine, other):
        with pytest.raises(LeaseReleasedError):
            lease.release()
    with pytest.raises(PoolsClosedError, match="'a' asked for a buffer, but channel 't/i' has been closed"):
        inner.lease(1, owner="a")
    assert (resources.pools._channels, kept_of(resources.pools)) == ({}, [0, 0])


def test_a_grant_within_is_held_to_the_limit_of_the_view() -> None:
    view = manager().view("t", lease=64 * KIB, largest=4 * KIB)
    with pytest.raises(LeaseLimitError, match="buffers of 4096 bytes at most, larger ones by a grant"):
        view.lease(64 * KIB, owner="a")
    view.grant("a", 64 * KIB)
    small = view.lease(1, owner="b")
    with pytest.raises(LeaseLimitError, match="channel 't'"):
        view.lease(64 * KIB, owner="a")
    small.release()
    view.lease(64 * KIB, owner="a").release()


def test_what_was_left_is_told_with_its_place_and_is_gone() -> None:
    resources = manager()
    closed: list[str] = []
    with resources.view("other") as other:
        kept = other.lease(1, owner="a")
        view = resources.view("t", lease=100 * KIB)
        view.limit("a", reserve=4 * KIB)
        view.lease(1, owner="dropped")
        dropped = sys._getframe().f_lineno - 1
        lease = view.lease(10, owner="a")
        leased = sys._getframe().f_lineno - 1
        view.register("file", owner="b", close=lambda: closed.append("file"))
        registered = sys._getframe().f_lineno - 1
        left = view.close()
        assert [(each.owner, each.requested, str(each.where)) for each in left.leases] == [
            ("a", 10, f"{__file__}:{leased}")
        ]
        assert [(each.owner, str(each.where)) for each in left.dropped] == [("dropped", f"{__file__}:{dropped}")]
        assert [(each.name, each.owner, str(each.where)) for each in left.resources] == [
            ("file", "b", f"{__file__}:{registered}")
        ]
        assert (left.channel, left.in_use, left.problems, left.nothing) == ("t", (), (), False)
        assert left.lines == (
            f"lease {left.leases[0].number} of 'a', 10 bytes, taken at {__file__}:{leased}",
            f"lease {left.dropped[0].number} of 'dropped', 1 bytes, taken at {__file__}:{dropped}, was lost without "
            "being given back",
            f"resource 'file' of 'b', registered at {__file__}:{registered}",
        )
        assert closed == ["file"]
        with pytest.raises(LeaseReleasedError):
            lease.release()
        assert view.close().leases == ()
        kept.release()
    assert resources.view("t").close().nothing


def test_what_cannot_be_taken_or_closed_is_told_as_such() -> None:
    resources = manager()
    view = resources.view("t", lease=8 * KIB)

    def fails() -> None:
        raise OSError("gone")

    lease = view.lease(16, owner="a")
    stands = pickle.PickleBuffer(lease.view)
    view.register("broken", owner="b", close=fails)
    left = view.close()
    assert [each.owner for each in left.in_use] == ["a"]
    assert left.problems == (("b", "broken", "OSError: gone"),)
    assert left.lines[0].endswith("; it could not be taken back, for something uses its memory")
    assert left.lines[-1] == "resource 'broken' of 'b' failed to close: OSError: gone"
    with pytest.raises(PoolsClosedError):
        resources.lease(1, owner="t/a")
    stands.release()
    lease.release()
    assert resources.statistics()[0].busy == 0


def test_a_closed_view_lends_and_takes_nothing() -> None:
    resources = manager()
    view = resources.view("t")
    closed: list[str] = []
    view.close()
    for use in (
        lambda: view.lease(1, owner="a"),
        lambda: view.limit("a", lease=1),
        lambda: view.grant("a", 1),
        lambda: view.view("inner"),
        lambda: view.register("file", owner="a", close=lambda: closed.append("file")),
    ):
        with pytest.raises(PoolsClosedError, match="channel 't' has been closed"):
            use()
    assert (resources.owned.owners(), closed) == ((), [])
    resources.lease(1, owner="t/a").release()  # a name as any other from now on
    with pytest.raises(PoolsClosedError):
        view.lease(1, owner="a")
    assert "closed" in repr(view)


def test_whoever_waits_in_a_view_that_closes_is_woken() -> None:
    resources = manager()
    held = [resources.lease(1, owner="other") for _ in range(4)]
    view = resources.view("t")
    problems: list[Exception] = []

    def wait() -> None:
        try:
            view.lease(1, owner="a", timeout=30)
        except PoolsClosedError as error:
            problems.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not resources.pools._waiting:
        pass
    view.close()
    thread.join()
    assert str(problems[0]) == "'a' asked for a buffer, but channel 't' has been closed"
    for lease in held:
        lease.release()


def test_one_name_is_one_view() -> None:
    resources = manager()
    view = resources.view("t")
    line = sys._getframe().f_lineno - 1
    with pytest.raises(DuplicateChannelError, match=rf"channel 't' is open already, since .*:{line}: close it first"):
        resources.view("t")
    with pytest.raises(ValueError, match="needs a name"):
        resources.view("")
    view.close()
    resources.view("t").close()


def test_what_has_such_a_name_already_is_in_the_view_from_then_on() -> None:
    resources = manager()
    lease = resources.lease(1, owner="t/a")
    view = resources.view("t", lease=8 * KIB)
    assert [record.owner for record in view.leases()] == ["a"]
    second = view.lease(1, owner="b")
    with pytest.raises(LeaseLimitError):
        view.lease(1, owner="b")
    lease.release()
    second.release()
    assert view.usage_of_all().leased == 0


def test_a_view_that_cannot_be_promised_its_reserve_is_not_opened() -> None:
    resources = manager()
    resources.limit("other", reserve={"small": 3})
    with pytest.raises(LeaseLimitError, match="2 small slots do not fit beside the 3 of 4"):
        resources.view("t", reserve={"small": 2})
    with pytest.raises(LeaseLimitError, match="a reserve above the limit"):
        resources.view("t", lease=1, reserve={"small": 1})
    assert (resources.pools._channels, kept_of(resources.pools)) == ({}, [3, 0])
    resources.view("t", reserve={"small": 1}).close()


def test_statistics_of_a_view_are_its_own() -> None:
    resources = manager()
    view = resources.view("t", lease=100 * KIB)
    outside = [resources.lease(64 * KIB, owner="other"), resources.lease(64 * KIB, owner="other")]
    inside = view.lease(1024, owner="a")
    view.lease(1, owner="a").release()
    with pytest.raises(PoolExhaustedError):
        view.lease(5 * KIB, owner="b", timeout=0)
    small, large = resources.view("empty").statistics()
    assert (small.leases, small.busy, small.external, large.external, large.refused) == (0, 0, 0.0, 0.0, 0)
    small, large = view.statistics()
    assert (small.slots, small.busy, small.most_busy, small.leases, small.idle) == (4, 1, 2, 2, 1 / 4)
    assert small.internal == 0.75
    assert (large.slots, large.busy, large.refused) == (1, 0, 1)
    assert large.external == 3 * 4 * KIB / (4 * 4 * KIB + 2 * 64 * KIB)
    for lease in (inside, *outside):
        lease.release()


def consistent(resources: ResourceManager, where: str) -> None:
    """All is as it would be made anew from what is lent."""
    pools = resources.pools

    def facts() -> object:
        everybody = [*pools._accounts.values(), *pools._channels.values()]
        return (
            kept_of(pools),
            [(a.name, a.held, a.leases, list(a.slots), list(a.heaped), list(a.kept)) for a in everybody],
            [(c.name, list(c.inner), sorted(c.parts)) for c in pools._channels.values()],
            [(slab.free, sorted([*slab.warm, *slab.cold])) for slab in pools._slabs],
        )

    before = facts()
    pools._put_right()
    assert facts() == before, where


WORK = ["lease", "release", "open", "close", "limit"]
FILES = {sys.modules[f"coresys.resources.{name}"].__file__ for name in ("pools", "lending", "slab", "tiers", "view")}


@NOT_TRACED
@pytest.mark.skipif(sys.version_info < (3, 11), reason="a with statement of 3.10 may be interrupted before its block")
@pytest.mark.parametrize("what", WORK)
def test_an_interruption_at_any_place_leaves_all_as_it_should_be(what: str) -> None:
    at, there_are_more = 0, True
    while there_are_more:
        at += 1
        resources = manager()
        view = resources.view("t", lease=16 * KIB, reserve={"small": 2})
        kept: list[object] = [view.lease(8, owner="b")]

        def work(resources: ResourceManager = resources, view: object = view, kept: list[object] = kept) -> None:
            run(what, resources, view, kept)

        hitting = Hitting(FILES, at, same_handler=True)
        there_are_more = hitting.watching(work)
        where = f"{what}, {hitting.where}"
        assert resources.pools._lock.acquire(timeout=1), where
        resources.pools._lock.release()
        consistent(resources, where)
        view.close()
        resources.pools.release_owner("t/b")
        kept.clear()
        consistent(resources, where)
        assert [tier.busy for tier in resources.statistics()] == [0, 0], where
    assert at > 5


def run(what: str, resources: ResourceManager, view: object, kept: list[object]) -> None:
    from coresys.resources.view import ResourceView

    assert isinstance(view, ResourceView)
    if what == "lease":
        kept.append(view.lease(8, owner="a"))
    elif what == "release":
        view.release_owner("b")
    elif what == "open":
        resources.view("t/b", reserve={"small": 1})
    elif what == "limit":
        view.limit("b", reserve={"small": 1})
    else:
        view.close()


@NOT_TRACED
@pytest.mark.parametrize("what", WORK)
def test_a_handler_of_a_signal_never_waits_for_the_thread_that_it_interrupts(what: str) -> None:
    at, there_are_more = 0, True
    while there_are_more:
        at += 1
        resources = manager()
        view = resources.view("t", lease=16 * KIB)
        kept: list[object] = [view.lease(8, owner="b")]
        mine: list[Lease] = [resources.lease(8, owner="handler")]

        def come_in(resources: ResourceManager = resources, mine: list[Lease] = mine) -> None:
            mine.pop().release()
            try:
                resources.view("handler's").close()
            except ReentrantCallError:
                pass

        hitting = Hitting(FILES, at, untraced(come_in))
        there_are_more = hitting.watching(lambda: run(what, resources, view, kept))  # noqa: B023
        resources.pools.take_back_orphans()
        consistent(resources, f"{what}, {hitting.where}")
        view.close()
        if mine:
            mine.pop().release()
        assert [tier.busy for tier in resources.statistics()] == [0, 0], f"{what}, {hitting.where}"
    assert at > 5
