"""What has an owner is closed with it: all of it, the latest first, whatever fails."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from interrupting import NOT_TRACED, Hitting, untraced

from coresys.errors.hierarchy import DuplicateResourceError, ResourcesNotClosedError, UnknownResourceError
from coresys.resources.manager import ResourceManager
from coresys.resources.owned import OwnedResources
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier


def fails() -> None:
    raise OSError("gone")


def noting(order: list[str], name: str) -> Callable[[], None]:
    return lambda: order.append(name)


def test_all_is_closed_the_latest_first_and_nothing_of_others() -> None:
    owned, order = OwnedResources(), list[str]()
    for name in ("file", "connection", "cursor"):
        owned.register(name, owner="a", close=noting(order, name))
    owned.register("file", owner="b", close=noting(order, "of b"))
    assert owned.close_all("a") == 3
    assert order == ["cursor", "connection", "file"]
    assert owned.close_all("a") == 0
    assert [name for name, _ in owned.names("b")] == ["file"]


def test_a_failure_stops_nothing_and_all_are_told() -> None:
    owned, order = OwnedResources(), list[str]()
    owned.register("first", owner="a", close=noting(order, "first"))
    owned.register("broken", owner="a", close=fails)
    owned.register("last", owner="a", close=noting(order, "last"))
    with pytest.raises(
        ResourcesNotClosedError, match=r"1 of 3 resources of 'a' failed to close: broken: OSError: gone"
    ):
        owned.close_all("a")
    assert order == ["last", "first"]
    assert owned.names("a") == ()


def test_one_name_is_one_thing_and_its_place_is_told() -> None:
    owned = OwnedResources()
    owned.register("file", owner="a", close=fails)
    line = sys._getframe().f_lineno - 1
    with pytest.raises(DuplicateResourceError, match=rf"'a' has a resource 'file' already, registered at .*:{line}$"):
        owned.register("file", owner="a", close=fails)
    assert owned.names("a") == (("file", f"{__file__}:{line}"),)


def test_what_is_transferred_is_closed_with_its_new_owner() -> None:
    owned, order = OwnedResources(), list[str]()
    owned.register("file", owner="a", close=noting(order, "file"))
    owned.transfer("file", owner="a", to="b")
    assert owned.close_all("a") == 0
    assert owned.close_all("b") == 1
    with pytest.raises(UnknownResourceError, match="'b' has no resource 'file'"):
        owned.transfer("file", owner="b", to="a")
    with pytest.raises(UnknownResourceError, match="'b' has no resource 'file'"):
        owned.forget("file", owner="b")
    for owner in "ab":
        owned.register("file", owner=owner, close=fails)
    with pytest.raises(DuplicateResourceError):
        owned.transfer("file", owner="a", to="b")
    owned.forget("file", owner="a")
    owned.forget("file", owner="b")


def test_what_closes_may_register_and_is_closed_too() -> None:
    owned, order = OwnedResources(), list[str]()
    owned.register("outer", owner="a", close=lambda: owned.register("inner", owner="a", close=noting(order, "inner")))
    assert owned.close_all("a") == 2
    assert order == ["inner"]


def test_an_owner_that_goes_leaves_nothing_in_its_manager() -> None:
    resources = ResourceManager(BufferPools((Tier("small", 64, 2),), timeout=0.0))
    lease = resources.lease(10, owner="a")
    line = sys._getframe().f_lineno - 1
    assert str(lease.record.where) == f"{__file__}:{line}"
    resources.register("broken", owner="a", close=fails)
    assert (resources.usage("a").leases, resources.usage("a").resources) == (1, 1)
    with pytest.raises(ResourcesNotClosedError):
        resources.release_owner("a")
    assert (resources.usage("a").leases, resources.usage("a").resources) == (0, 0)
    assert resources.leases() == ()
    assert resources.statistics()[0].busy == 0


def test_what_registers_itself_anew_is_named_and_does_not_go_on_for_ever() -> None:
    owned, order = OwnedResources(), list[str]()

    def again() -> None:
        owned.register("phoenix", owner="a", close=again)

    owned.register("file", owner="a", close=noting(order, "file"))
    owned.register("phoenix", owner="a", close=again)
    with pytest.raises(ResourcesNotClosedError, match="phoenix: is registered anew whenever it is closed, 100 times"):
        owned.close_all("a")
    assert owned.close_all("b") == 0


def test_what_is_registered_while_others_are_closed_is_closed_too() -> None:
    owned, order = OwnedResources(), list[str]()
    owned.register("first", owner="a", close=noting(order, "first"))
    owned.register("second", owner="a", close=lambda: owned.register("log", owner="a", close=noting(order, "log")))
    assert owned.close_all("a") == 3
    assert order == ["log", "first"]


def test_to_give_something_to_whoever_has_it_changes_nothing() -> None:
    owned = OwnedResources()
    owned.register("file", owner="a", close=fails)
    owned.transfer("file", owner="a", to="a")
    assert [name for name, _ in owned.names("a")] == ["file"]


@NOT_TRACED
def test_a_handler_of_a_signal_may_come_in_at_any_place() -> None:
    at, there_are_more = 0, True
    while there_are_more:
        at += 1
        owned, order = OwnedResources(), list[str]()
        owned.register("one", owner="a", close=noting(order, "one"))

        def come_in(owned: OwnedResources = owned, order: list[str] = order) -> None:
            owned.register("handler's", owner="a", close=noting(order, "handler's"))
            owned.transfer("handler's", owner="a", to="b")

        def work(owned: OwnedResources = owned) -> None:
            owned.register("two", owner="a", close=lambda: None)
            owned.transfer("two", owner="a", to="b")
            owned.close_all("a")
            owned.close_all("b")

        hitting = Hitting({sys.modules["coresys.resources.owned"].__file__}, at, untraced(come_in))
        there_are_more = hitting.watching(work)
        owned.close_all("b")
        assert sorted(order) == ["handler's", "one"] if there_are_more else ["one"], hitting.where
    assert at > 20
