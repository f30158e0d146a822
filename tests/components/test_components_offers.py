"""Components talk through interfaces: who gets what, from whom, and when."""

from __future__ import annotations

import abc
import gc
import weakref
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

import pytest
from components_helping import World

from coresys.components.offers import members
from coresys.errors.hierarchy import InterfaceError, NotProvidedError, UnknownComponentError

T = TypeVar("T")


class Database(Protocol):
    url: str

    def query(self, text: str) -> list[str]: ...


class Counting(abc.ABC):
    @abc.abstractmethod
    def count(self) -> int: ...


class Rows(Protocol[T]):
    def rows(self) -> list[T]: ...

    def __len__(self) -> int: ...


class Memory:
    def __init__(self) -> None:
        self.url = "memory:"

    def query(self, text: str) -> list[str]:
        return [text]

    def count(self) -> int:
        return 1


class Plain(Generic[T]):
    pass


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("interface", "asked"),
    [
        (Database, ("query", "url")),
        (Counting, ("count",)),
        (Rows, ("__len__", "rows")),
        (Iterator, ("__iter__", "__next__")[:1]),
        (Memory, None),
        (Plain, None),
        (dict, None),
        ("Database", None),
        (Rows[int], None),
    ],
)
def test_what_an_interface_asks_for(interface: Any, asked: tuple[str, ...] | None) -> None:
    assert members(interface) == asked


def test_what_another_provides_is_had_while_that_runs(world: World) -> None:
    database = Memory()
    world.components.provide("db", Database, database)
    with pytest.raises(NotProvidedError, match="cannot have Database: 'db' provides it, and is stopped"):
        world.components.require("orders", Database)
    seen: list[object] = []
    world.during["start orders"] = lambda: seen.append(world.components.require("orders", Database))
    world.during["stop orders"] = lambda: seen.append(world.components.require("orders", Database))
    world.components.start()
    world.components.stop()
    assert seen == [database, database]
    with pytest.raises(NotProvidedError):
        world.components.require("orders", Database)


def test_while_the_other_starts_or_stops_it_is_not_had(world: World) -> None:
    states: list[str] = []

    def ask() -> None:
        with pytest.raises(NotProvidedError) as caught:
            world.components.require("orders", Database)
        states.append(caught.value.problem)

    world.components.provide("db", Database, Memory())
    world.during.update({"start db": ask, "stop db": ask})
    world.components.start()
    world.components.stop()
    assert states == ["'db' provides it, and is starting", "'db' provides it, and is stopping"]


@pytest.mark.parametrize(
    ("name", "of", "problem"),
    [
        ("mail", None, "none is needed by it"),
        ("shop", None, r"none of those it needs \(orders, mail\) provides it"),  # db is needed by orders only
        ("shop", "db", "has not declared that it needs 'db'"),
    ],
)
def test_only_what_was_declared_to_be_needed_is_had(world: World, name: str, of: str | None, problem: str) -> None:
    world.components.provide("db", Database, Memory())
    world.components.start()
    with pytest.raises(NotProvidedError, match=problem) as caught:
        world.components.require(name, Database, of=of)
    assert (caught.value.component, caught.value.interface) == (name, "Database")


def test_where_two_provide_it_one_has_to_be_named(world: World) -> None:
    one, other = Memory(), Memory()
    world.components.provide("orders", Database, one)
    world.components.provide("mail", Database, other)
    world.components.start()
    with pytest.raises(NotProvidedError, match="orders, mail provide it: say of which"):
        world.components.require("shop", Database)
    assert world.components.require("shop", Database, of="orders") is one
    assert world.components.require("shop", Database, of="mail") is other


def test_what_is_provided_has_to_be_of_the_interface(world: World) -> None:
    half = type("Half", (), {"url": ""})()
    with pytest.raises(InterfaceError, match="'db' cannot provide Database: Half has no query"):
        world.components.provide("db", Database, half)
    with pytest.raises(InterfaceError, match="cannot provide Memory: it is neither a Protocol nor an abstract class"):
        world.components.provide("db", Memory, Memory())
    with pytest.raises(UnknownComponentError):
        world.components.provide("bd", Database, Memory())
    world.components.provide("db", Counting, Memory())


def test_a_property_is_there_without_being_read(world: World) -> None:
    class Lazy:
        @property
        def url(self) -> str:
            raise AssertionError("read")

        def query(self, text: str) -> list[str]:
            return []

    world.components.provide("db", Database, Lazy())


def test_what_was_provided_in_a_run_is_let_go_with_it_and_what_was_before_stays(world: World) -> None:
    lasting: Any = Memory()
    gone: list[weakref.ref[Memory]] = []

    def provide() -> None:
        fresh = Memory()
        gone.append(weakref.ref(fresh))
        world.components.provide("db", Database, fresh)

    world.components.provide("db", Counting, lasting)
    world.during["start db"] = provide
    for run in range(2):
        world.components.start("orders")
        assert world.components.require("orders", Database) is gone[run]()
        assert world.components.require("orders", Counting) is lasting
        world.components.stop()
        gc.collect()
        assert gone[run]() is None
    world.fail["start db"] = OSError()
    with pytest.raises(Exception, match="did not start"):
        world.components.start("orders")
    world.fail.clear()
    gc.collect()
    assert gone[2]() is None


def test_one_that_is_swapped_for_another_of_the_interface_changes_nothing_for_who_needs_it(world: World) -> None:
    class Fake:
        url = "fake:"

        def query(self, text: str) -> list[str]:
            return ["fake"]

    given: list[Database] = [Memory(), Fake()]
    world.during["start db"] = lambda: world.components.provide("db", Database, given.pop(0))
    answers = []
    for _ in range(2):
        world.components.start("orders")
        answers.append(world.components.require("orders", Database).query("q"))
        world.components.stop()
    assert answers == [["q"], ["fake"]]
