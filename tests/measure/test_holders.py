"""Who keeps it, which lines, what types, and what that says about its end: on leaks of every shape."""

from __future__ import annotations

import ctypes
import functools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coresys.measure.attribution import Attribution, attribute
from coresys.measure.holders import evictions, function_at, holder_chains, line_of_global
from coresys.measure.survivors import survivors

HERE = __file__


class Session:
    def __init__(self) -> None:
        self.data = [0] * 10


class Registry:
    items: list[Any] = []  # noqa: RUF012  # shared on purpose


class Node:
    def __init__(self, before: Node | None) -> None:
        self.before = before


LISTED: list[Any] = []
NESTED: dict[str, list[Any]] = {"sessions": []}
BOUNDED: deque[bytes] = deque(maxlen=5000)
CALLBACKS: list[Callable[[], object]] = []
SUSPENDED: list[Any] = []
HEAD: Node | None = None


def make() -> Callable[[], None]:
    handlers: list[Callable[[], object]] = []

    def add() -> None:
        handlers.append(lambda: handlers)

    return add


ADD = make()


@functools.lru_cache(maxsize=4000)
def bounded(key: object) -> bytes:
    return bytes(300)


@functools.cache
def unbounded(key: object) -> bytes:
    return bytes(300)


def work() -> Iterator[list[int]]:
    big = [1] * 100
    yield big


def suspends() -> None:
    generator = work()
    next(generator)
    SUSPENDED.append(generator)


def links() -> None:
    global HEAD
    HEAD = Node(HEAD)


def looked_at(run: Callable[[], object], **more: Any) -> Attribution:
    return attribute(run, is_user=lambda path: path == HERE, root_path=HERE.rpartition("/")[0], **more)


def text(found: Attribution) -> str:
    return "\n".join(" -> ".join(chain) for chain in found.holders)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: LISTED.append(Session()), "global LISTED -> list["),
        (lambda: NESTED["sessions"].append(Session()), "global NESTED -> dict['sessions'] -> list["),
        (lambda: LISTED.append(bytes(500)), "global LISTED -> list["),
        (lambda: Registry.items.append(object()), "class Registry"),
        (lambda: CALLBACKS.append(Session().data.copy), "global CALLBACKS -> list["),
        (suspends, "global SUSPENDED -> list["),
        (ADD, "closure"),
        (links, "global HEAD -> Node"),
    ],
    ids=["list", "nested", "bytes", "class", "bound method", "generator", "closure", "linked"],
)
def test_the_chain_leads_from_the_users_root_to_the_survivor(run: Callable[[], object], expected: str) -> None:
    found = looked_at(run)
    assert expected in text(found), found
    assert found.lines
    assert found.lines[0].path == "test_holders.py"


def test_a_root_is_named_with_the_line_where_it_is_first_bound() -> None:
    with open(HERE, encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert lines[line_of_global(HERE, "NESTED") - 1].startswith("NESTED")
    assert function_at(HERE, make.__code__.co_firstlineno + 4) == "add"


@pytest.mark.parametrize(
    ("run", "bound"),
    [
        (lambda: bounded(object()), "functools.lru_cache(maxsize=4000) of bounded (test_holders.py:"),
        (lambda: BOUNDED.append(bytes(300)), "a deque with maxlen 5000"),
    ],
    ids=["lru_cache", "deque"],
)
def test_a_container_with_a_bound_of_its_own_is_told(run: Callable[[], object], bound: str) -> None:
    found = looked_at(run)
    assert found.bounded is not None
    assert found.bounded.startswith(bound)
    assert not found.only_grows


def test_a_cache_without_bound_is_not_called_bounded() -> None:
    assert looked_at(lambda: unbounded(object())).bounded is None


def test_growth_without_a_line_is_called_native() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    found = looked_at(lambda: libc.malloc(1000), grown=1008.0)
    assert found.native is not None
    assert "1008 B per run that no Python line accounts for" in found.native


def test_types_of_survivors_are_counted_per_run() -> None:
    found = {row.type_name: row.count for row in survivors(lambda: LISTED.append(Session()))}
    assert found["Session"] == pytest.approx(1.0)


def test_a_run_that_tells_of_a_problem_ends_the_looking() -> None:
    calls = []

    def fails() -> str | None:
        calls.append(1)
        return "fixture failed" if len(calls) > 3 else None

    looked_at(fails)
    assert len(calls) <= 5


def test_objects_without_a_root_have_no_chain() -> None:
    assert holder_chains([object()], is_user=lambda path: False, seconds=0.5) == []


def test_code_that_lets_go_is_seen(tmp_path: Any) -> None:
    file = tmp_path / "cache.py"
    file.write_text("def put(d, k):\n    d[k] = 1\n    if len(d) > 300:\n        d.popitem()\n    len(d) == 2\n")
    assert [(line, what) for line, _, what in evictions(str(file))] == [(3, "a bound on len()"), (4, "popitem()")]


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    global HEAD
    yield
    for kept in (LISTED, NESTED["sessions"], Registry.items, BOUNDED, CALLBACKS, SUSPENDED):
        kept.clear()
    HEAD = None
    bounded.cache_clear()
    unbounded.cache_clear()
