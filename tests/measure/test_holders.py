"""Who keeps it, which lines, what types, and what that says about its end: on leaks of every shape."""

from __future__ import annotations

import ctypes
import functools
import gc
import io
import itertools
import queue
import random
import sys
import types
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coresys.measure import holders
from coresys.measure.attribution import Attribution, attribute
from coresys.measure.evictions import bounds, evictions
from coresys.measure.holders import function_at, holder_chains, line_of_global
from coresys.measure.survivors import look_for_growth, survivors

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
QUEUED: queue.Queue[bytes] = queue.Queue(maxsize=5000)
WRITTEN = io.TextIOWrapper(io.BytesIO())
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
    given = {"seconds": 60.0, **more}  # enough on a machine that has other work
    return attribute(run, is_user=lambda path: path == HERE, root_path=HERE.rpartition("/")[0], **given)


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
        (lambda: QUEUED.put(bytes(300)), "a queue with maxsize 5000"),
        (lambda: print(f"{uuid.uuid4()}", file=WRITTEN), "a text file, which is written out when some 8 KiB are there"),
    ],
    ids=["lru_cache", "deque", "queue", "text file"],
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


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_what_comes_in_some_runs_only_has_a_line_and_a_holder_and_is_not_native(share: float) -> None:
    chosen = random.Random(5)

    def sometimes() -> None:
        if chosen.random() < share:
            LISTED.append(Session())

    # By a clock that stands still: in a large heap there would be no time for windows as long as these.
    found = looked_at(sometimes, grown=200 * share, often=share, now=lambda: 0.0)
    assert found.native is None
    assert found.holders
    first = sometimes.__code__.co_firstlineno
    assert {place.line for place in found.lines} & {first + 2, Session.__init__.__code__.co_firstlineno + 1}
    hurried = looked_at(sometimes, grown=200 * share, often=share, seconds=1e-4)
    assert hurried.native is None


def test_types_of_survivors_are_counted_per_run() -> None:
    found = {row.type_name: row.count for row in survivors(lambda: LISTED.append(Session()))}
    assert found["Session"] == pytest.approx(1.0)


def ticking(step: float) -> Callable[[], float]:
    """A clock that goes on by so many seconds whenever it is read."""
    return functools.partial(next, itertools.count(0.0, step))


def test_of_slow_code_there_are_fewer_runs_and_the_count_is_still_per_run() -> None:
    calls: list[int] = []

    def leak() -> None:
        calls.append(1)
        LISTED.append(Session())

    found = look_for_growth(leak, repetitions=6, windows=3, now=ticking(0.6))
    assert len(calls) < 3 * 6
    assert {row.type_name: row.count for row in found.survivors}["Session"] == pytest.approx(1.0)


@pytest.mark.parametrize("step", [0.3, 1.0, 2.5])
def test_whoever_runs_out_of_time_before_a_holder_is_found_says_so(step: float) -> None:
    """What was not looked for is no proof that nobody lets go of it."""
    found = attribute(
        lambda: LISTED.append(Session()), is_user=lambda path: path == HERE, seconds=2.0, now=ticking(step)
    )
    assert not found.holders
    assert found.cut_short
    assert found.may_end == "there was no time to find out what keeps it"


def test_whoever_had_the_time_to_look_is_not_cut_short() -> None:
    found = attribute(lambda: LISTED.append(Session()), is_user=lambda path: path == HERE, now=ticking(0.001))
    assert found.holders
    assert not found.cut_short
    assert found.may_end is None


def test_a_run_that_tells_of_a_problem_ends_the_looking() -> None:
    calls = []

    def fails() -> str | None:
        calls.append(1)
        return "fixture failed" if len(calls) > 3 else None

    looked_at(fails)
    assert len(calls) <= 5


def test_objects_without_a_root_have_no_chain() -> None:
    assert holder_chains([object()], is_user=lambda path: False, seconds=0.5) == []


class Branch:
    def __init__(self, parent: Branch | None) -> None:
        self.parent, self.children = parent, list[Branch]()
        if parent is not None:
            parent.children.append(self)


TREE = Branch(None)


def test_a_thousand_children_that_know_their_parent_do_not_hide_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "_MOST_VISITED", 20)
    gc.collect()
    gc.freeze()  # as in a repetition: what is made later then stands before the module in the collector's list
    for _ in range(300):
        Branch(Branch(TREE))
    try:
        newest = TREE.children[-1].children[0]
        chains = holder_chains([newest], is_user=lambda path: path == HERE, seconds=60)
        assert [chain[0].partition(" ")[2] for chain in chains] == ["global TREE"]
    finally:
        TREE.children.clear()


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
    QUEUED.queue.clear()
    WRITTEN.flush()
    HEAD = None
    bounded.cache_clear()
    unbounded.cache_clear()


def test_a_line_that_keeps_a_container_to_a_size_is_found_with_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "code.py"
    file.write_text(
        """
LIMIT = 300
def by_length(key):
    kept[key] = 1
    if len(kept) > 1000: kept.clear()
def by_key(key): kept[key % 50] = 1
def by_parameter(): put(kept, 2000)
def put(things, most):
    while most <= len(things): things.pop()
def in_other_words():
    mine = kept
    assert len(mine) < LIMIT * 2
def of_another(key):
    other[key % 7] = kept.get(key)
    return len(other) > 5 or len(kept) == 3
def by_global():
    if len(kept) > LIMIT: del kept[0]
"""
    )
    module = types.ModuleType("code_of_a_test")
    module.__file__ = str(file)
    vars(module).update(LIMIT=300, most=1)  # of which one is a parameter where it stands
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert bounds(str(file), frozenset({"kept"})) == [(5, 1000), (6, 50), (9, None), (12, None), (17, 300)]
    assert bounds(str(tmp_path / "none.py"), frozenset({"kept"})) == []
