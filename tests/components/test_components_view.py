"""Views: what is outside of a part is not seen, and not touched."""

from __future__ import annotations

from typing import Any, Protocol

import pytest
from components_helping import SHOP, World, starts, stops

from coresys.errors.hierarchy import OutsideViewError, UnknownComponentError
from coresys.system_records import ComponentSpec


@pytest.fixture
def world() -> World:
    return World()


def test_a_view_shows_its_own_part(world: World) -> None:
    view = world.components.view(["db", "orders"])
    world.components.start()
    assert [record.name for record in view.components()] == ["db", "orders"]
    assert view.status("db").state == "running"
    assert repr(view) == "<ComponentView of db, orders: 2 components, 2 running>"
    assert repr(world.components.view("x.")) == "<ComponentView of x.*: 0 components, 0 running>"


@pytest.mark.parametrize("ask", ["status", "check"])
def test_others_are_not_there_for_it(world: World, ask: str) -> None:
    with pytest.raises(UnknownComponentError, match="no component 'mail'"):
        getattr(world.components.view("d"), ask)("mail")


@pytest.mark.parametrize("ask", ["start", "stop", "restart"])
def test_others_cannot_be_named_for_a_change(world: World, ask: str) -> None:
    world.components.start("mail")
    with pytest.raises(OutsideViewError, match="'mail' is outside of the view of db") as caught:
        getattr(world.components.view(["db"]), ask)("mail")
    assert (caught.value.component, caught.value.view) == ("mail", "db")
    assert world.running() == ["mail"]


def test_a_component_is_registered_by_a_view_under_names_of_its_part_only(world: World) -> None:
    view = world.components.view("t.")
    world.add(ComponentSpec("t.a", needs=("db",)), view)
    with pytest.raises(OutsideViewError, match="it is to be registered"):
        world.add(ComponentSpec("a"), view)
    assert [record.name for record in view.components()] == ["t.a"]
    assert "a" not in world.states()


def test_what_is_needed_outside_has_to_run(world: World) -> None:
    view = world.components.view(["orders"])
    for ask in (view.start, lambda: view.start("orders"), lambda: view.restart("orders")):
        with pytest.raises(OutsideViewError, match="'db' is outside of the view of orders"):
            ask()
    assert world.called() == []
    world.components.start("db")
    view.start()
    assert world.running() == ["db", "orders"]


def test_what_needs_it_outside_keeps_it_from_being_stopped_or_restarted(world: World) -> None:
    world.components.start("orders")
    world.called()
    view = world.components.view(["db", "audit"])
    for ask in (view.stop, lambda: view.stop("db"), lambda: view.restart("db")):
        with pytest.raises(OutsideViewError, match="'orders' is outside of the view of audit, db"):
            ask()
    assert world.called() == []
    view.start()
    view.stop("audit")
    world.components.stop("orders")
    assert view.restart("db")
    view.stop()
    assert world.running() == []


def test_one_that_failed_outside_needs_nothing_and_is_left_as_it_is(world: World) -> None:
    world.components.start("orders")
    with world.raising("stop orders", OSError("busy")), pytest.raises(Exception, match="busy"):
        world.components.stop("orders")
    view = world.components.view(["db"])
    view.restart("db")
    view.stop()
    assert world.states() == {**dict.fromkeys(SHOP, "stopped"), "orders": "failed"}


def test_a_restart_with_the_rest_takes_the_rest_of_the_part_only() -> None:
    world = World({"other": ()})
    view = world.components.view("t.")
    for name in ("t.a", "t.b"):
        world.add(ComponentSpec(name, strategy="rest-for-one"), view)
    world.add(ComponentSpec("later"))
    world.components.start()
    world.called()
    assert view.restart("t.a")
    assert world.called() == [*stops("t.b", "t.a"), *starts("t.a", "t.b")]


class Query(Protocol):
    def query(self, text: str) -> str: ...


class Sql:
    def query(self, text: str) -> str:
        return text.upper()


def test_a_view_gives_what_its_own_components_need_and_takes_what_they_provide(world: World) -> None:
    inside, outside = world.components.view(["orders"]), world.components.view(["db"])
    outside.provide("db", Query, Sql())
    world.components.start("orders")
    assert inside.require("orders", Query).query("a") == "A"
    asks: list[Any] = [lambda: inside.provide("db", Query, Sql()), lambda: outside.require("orders", Query)]
    for ask in asks:
        with pytest.raises(UnknownComponentError):
            ask()
