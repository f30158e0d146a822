"""Whose a name is: the container's, or only one that sounds like it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from coresys.measure.attribution import attribute
from coresys.measure.evictions import bounds, evictions, guards
from coresys.measure.lengths import length_bounds
from coresys.measure.naming import Meaning, Names, anywhere, names_along

CACHE = """
class Cache:
    def __init__(self, limit):
        self.limit, self.data = limit, {}
    def put(self, key):
        self.data[key] = 1
        while len(self.data) > self.limit: self.data.popitem()

class Child(Cache):
    def trim(self):
        if len(self.data) > 5000: self.data.clear()

class Registry:
    def __init__(self):
        self.data = {}
    def add(self, key):
        self.data[key] = 1
"""

Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Makes a module of a source, which others can import by its name."""
    made: list[str] = []

    def make(source: str, name: str = "module_of_a_test") -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        module = sys.modules[name] = ModuleType(name)
        module.__file__ = str(path)
        made.append(name)
        exec(compile(source, str(path), "exec"), vars(module))
        return module

    yield make
    for name in made:
        del sys.modules[name]


def lines(module: ModuleType, things: list[Any]) -> list[int]:
    """Lines of a module that keep what is held by the last but one of some things to a size."""
    path = str(module.__file__)
    meant = Meaning([path], names_along(things)).of(path)
    return sorted({line for line, _ in (*bounds(path, meant), *length_bounds(path, meant))})


def test_an_attribute_is_that_of_its_class(load: Load) -> None:
    module = load(CACHE + "cache, child, registry = Cache(10), Child(10), Registry()\n")
    for name, found in (("cache", [7]), ("child", [7, 11]), ("registry", [])):
        owner = getattr(module, name)
        assert lines(module, [vars(module), owner, owner.data]) == found, name


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("rows = []\ndef f(x):\n    if len(rows) > 9: rows.clear()", [3]),
        ("rows = []\ndef f(rows):\n    if len(rows) > 9: raise ValueError", []),
        ("rows = []\ndef f():\n    rows = []\n    return len(rows) > 9", []),
        ("rows = []\ndef f(all):\n    while len(all) > 9: all.pop()\ndef g(): f(rows)", [3]),
        ("rows = []\ndef f(rows):\n    while len(rows) > 9: rows.pop()\ndef g(): submit(f, rows)", [3]),
        ("rows = []\ndef f():\n    return rows\ndef g():\n    if len(f()) > 9: f().pop()", [5]),
        ("rows = []\ndef f():\n    mine = rows\n    if len(mine) > 9: mine.pop()", [4]),
        ("rows = []\ndef f():\n    mine = []\n    if len(mine) > 9: mine.pop()\ndef g():\n    mine = rows", []),
        ("import pytest\nrows = []\n@pytest.fixture\ndef all(): return rows\ndef test(all):\n    len(all) < 9", [6]),
        ("rows = []\nclass Trim:\n    def __init__(self, what): self.what = what\n"
         "    def trim(self):\n        while len(self.what) > 9: self.what.pop()\ndef f(): Trim(rows).trim()", [5]),
        ("rows = []\nclass Page:\n    def __init__(self, rows): self.rows = rows\n"
         "    def check(self):\n        return len(self.rows) > 9\ndef f(): return Page([])", []),
    ],
)  # fmt: skip
def test_a_global_is_followed_by_other_names_and_is_no_local_of_that_name(
    load: Load, source: str, found: list[int]
) -> None:
    module = load(source)
    assert lines(module, [vars(module), module.rows]) == found


def test_a_global_is_known_where_it_is_imported(load: Load) -> None:
    kept = load("rows = []", "kept")
    sources = (
        "from kept import rows as all\ndef f():\n    if len(all) > 9: all.clear()",
        "import kept\ndef f():\n    if len(kept.rows) > 9: kept.rows.clear()",
        "def f():\n    from kept import rows as all\n    if len(all) > 9: all.clear()",
    )
    for number, source in enumerate(sources):
        assert lines(load(source, f"importing_{number}"), [vars(kept), kept.rows]) == [3]


def test_a_closure_has_its_own_variable_by_the_name_of_another(load: Load) -> None:
    module = load(
        "def some():\n    cache = {}\n    def f(x):\n        if len(cache) > 9: cache.clear()\n        cache[x] = 1\n"
        "    return f\ndef all():\n    cache = {}\n    def f(x): cache[x] = 1\n    return f\nsome, all = some(), all()"
    )
    for function, found in ((module.some, [4]), (module.all, [])):
        (cell,) = function.__closure__
        assert lines(module, [function, function.__closure__, cell, cell.cell_contents]) == found


def test_a_default_goes_by_its_parameter(load: Load) -> None:
    module = load(
        "def f(x, y=1, seen=[], *, more=[]):\n    if len(seen) > 9: seen.clear()\n    if len(more) > 9: more.clear()\n"
        "def g(x, seen=[]):\n    seen.append(x)"
    )
    f, g = module.f, module.g
    assert lines(module, [f, f.__defaults__, f.__defaults__[1]]) == [2]
    assert lines(module, [f, f.__kwdefaults__, f.__kwdefaults__["more"]]) == [3]
    assert lines(module, [g, g.__defaults__, g.__defaults__[0]]) == []


def test_a_generator_keeps_it_in_a_variable_of_its_own(load: Load) -> None:
    module = load(
        "def some():\n    seen = []\n    while True:\n"
        "        seen.append((yield))\n        if len(seen) == 9: seen = []\n"
        "def all():\n    seen = []\n    while True: seen.append((yield))\n"
        "def turns():\n    while True:\n        seen = []\n        for _ in range(9): seen.append((yield))\n"
    )
    for function, found in ((module.some, [5]), (module.all, []), (module.turns, [12])):
        generator = function()
        next(generator)
        assert lines(module, [generator, generator.gi_frame.f_locals["seen"]]) == found


def test_a_container_in_a_table_is_handed_on_as_an_entry(load: Load) -> None:
    module = load(
        "class Log:\n  def __init__(self): self.by_user = {}\n"
        "  def of(self, user): return self.by_user.setdefault(user, [])\n"
        "  def add(self, user, row):\n    rows = self.of(user)\n    rows.append(row)\n    self.trim(rows)\n"
        "    cut(self.by_user[user])\n    show(row)\n"
        "  def trim(self, some):\n    while len(some) > 9: some.pop()\n"
        "def cut(some):\n    if len(some) > 9: del some[0]\n"
        "def show(row): return len(row) > 80\n"
        "log = Log()\nlog.add('ada', 'x')"
    )
    log = module.log
    assert lines(module, [vars(module), log, log.by_user, log.by_user["ada"]]) == [11, 13]


def test_a_proxy_may_speak_for_anything(load: Load) -> None:
    module = load(
        "class Log:\n    def __init__(self): self.rows = []\nclass Proxy:\n"
        "    def __getattr__(self, name): return getattr(log, name)\nlog, proxy = Log(), Proxy()\n"
        "def f():\n    if len(proxy.rows) > 9: proxy.rows.clear()"
    )
    assert lines(module, [vars(module), module.log, module.log.rows]) == [7]


def test_what_something_else_of_the_same_object_has_is_not_it(load: Load) -> None:
    module = load(
        "class Log:\n    def __init__(self): self.rows, self.hits = [], []\nlog = Log()\n"
        "def f():\n    if len(log.hits) > 9: log.hits.clear()\n    if len(log.rows) > 9: log.rows.clear()"
    )
    assert lines(module, [vars(module), module.log, module.log.rows]) == [6]


def test_a_class_that_is_asked_for_has_names_of_its_own(load: Load) -> None:
    module = load("class Log:\n    rows = []\n    def f(self):\n        if len(self.rows) > 9: Log.rows = []")
    assert lines(module, [module.Log, module.Log.rows]) == [4]
    assert lines(module, [module.Log, {"rows": module.Log.rows}, module.Log.rows]) == [4]


ROWS = frozenset({"rows"})


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    n = len(rows)\n    if n == 900: rows.clear()", [(3, 900)]),
        ("def f():\n    n = len(rows)\n    if n == 900: print(n)", []),
        ("def f():\n    n = len(rows)\n    if n == 900:\n        return\n    rows.append(1)", [(3, 900)]),
        ("def f():\n    n = len(rows)\n    if n == len(other): rows.clear()", []),
        ("def f():\n    if len(rows) != most: rows.append(1)", [(2, None)]),
        ("def f():\n    if 9 - len(rows): rows.append(1)", [(2, None)]),
        ("def f():\n    if not (len(rows) - len(other)): rows.clear()", []),
        ("def f():\n    if len(rows): rows.pop()", []),
        ("def f():\n    if rows: rows.pop()", []),
        ("def left(): return most - len(rows)\ndef f():\n    if x or not left(): drop()\ndef drop(): rows.clear()",
         [(3, None)]),
        ("class A:\n  @property\n  def left(self): return 9 - len(self.rows)\n"
         "  def f(self):\n    if self.left <= 0: self.rows = []", [(5, None)]),
        ("class A:\n  def size(self): return len(self.rows)\n  def f(self):\n    if self.size() == 9: self.rows.pop()\n"
         "class B:\n  def size(self): return 1\n  def f(self):\n    if self.size() == 8: self.rows.pop()", [(4, 9)]),
        ("match len(rows):\n    case 900: rows.clear()\n    case 800: pass", [(2, 900)]),
        ("match len(rows):\n    case n if n > 900: rows.clear()", [(2, 900)]),
        ("match len(other):\n    case 900: rows.clear()", []),
    ],
)  # fmt: skip
def test_a_condition_on_a_length_counts_where_something_hangs_on_it(
    tmp_path: Path, source: str, found: list[tuple[int, int | None]]
) -> None:
    path = tmp_path / "lengths.py"
    path.write_text(source, encoding="utf-8")
    assert length_bounds(str(path), anywhere(str(path), ROWS)) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("rows[:] = heapq.nlargest(900, rows + [x])", [(1, 900)]),
        ("top = heapq.nlargest(900, rows)", []),
        ("rows = list(sorted(rows)[:900])", [(1, 900)]),
        ("rows = dict(islice(reversed(list(rows.items())), 900))", [(1, 900)]),
        ("rows = dict(islice(rows.items(), 1, None))", []),
        ("rows = Counter(dict(rows.most_common(900)))", [(1, 900)]),
        ("rows = [each for each in rows[-900:] if each]", [(1, 900)]),
        ("rows[min(n, 900)] = 1", [(1, 901)]),
        ("rows[min(n, most)] = 1", []),
        ("rows[f(min(n, 900), x)] = 1", []),
    ],
)
def test_other_ways_to_keep_to_a_size(tmp_path: Path, source: str, found: list[tuple[int, int | None]]) -> None:
    path = tmp_path / "kept.py"
    path.write_text(source, encoding="utf-8")
    assert bounds(str(path), ROWS) == found


@pytest.mark.parametrize(
    ("source", "line", "found"),
    [
        ("def f():\n    if not free:\n        rows.clear()\n        free.extend(range(9))\n    free.pop()", 3, [2]),
        ("def f():\n    if not free:\n        rows.clear()\n    free.pop()\ndef g(x): free.append(x)", 3, []),
        ("def f():\n    if not free:\n        rows.clear()", 3, []),
        ("def f():\n    if self.left == 0:\n        rows.clear()\n        self.left = 9\n    self.left -= 1", 3, [2]),
        ("def f():\n    if not gate.acquire(False):\n        rows.clear()\n        gate.release()", 3, [2]),
        ("def f():\n    if not gate.acquire(False):\n        rows.clear()\ndef g(): gate.release()", 3, []),
        ("def f():\n    try: x = free.pop()\n    except KeyError:\n        rows.clear()", 4, [2]),
        ("def f():\n    try: x = next(ids)\n    except StopIteration:\n        rows.clear()", 4, [2]),
        ("def f():\n    try: x = known[x]\n    except KeyError:\n        rows.clear()", 4, []),
        ("def f():\n    try: x = free.pop()\n    except KeyError:\n        rows.clear()\ndef g(x): free.add(x)", 4, []),
    ],
)
def test_what_runs_out_is_a_condition_that_will_be_met(
    tmp_path: Path, source: str, line: int, found: list[int]
) -> None:
    path = tmp_path / "source.py"
    path.write_text(source, encoding="utf-8")
    assert [at for at, _ in guards(str(path), line)] == found


def test_nothing_is_meant_in_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "none.py")
    meant = Meaning([path], Names(keys={"rows"})).of(path)
    assert not meant.own
    assert [evictions(path, meant), bounds(path, meant), length_bounds(path, meant)] == [[], [], []]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("top, steps = None, 0\ndef f():\n    global top, steps\n    top = (top, object())\n    steps += 1\n"
         "    if steps > 5000:\n        top, steps = None, 0", "on a condition at line 6, which was not met"),
        ("top, steps = None, 0\ndef f():\n    global top, steps\n    top = (top, object())\n    steps += 1\n"
         "    if steps > 5000:\n        steps = 0", None),
        ("class Q:\n  def __init__(self):\n    self.n = 0\n    self.first = self.last = [None, None]\n"
         "  def f(self):\n    self.n += 1\n    self.last[1] = [object(), None]\n    self.last = self.last[1]\n"
         "    if self.n > 5000:\n      self.first = self.first[1]\nq = Q()\nf = q.f",
         "on a condition at line 9, which was not met"),
        ("kept, n = [], 0\ndef f():\n    global kept, n\n    n += 1\n"
         "    kept = sorted(kept + [('%09d' % n, 1)])[:5000]",
         "kept by what module_of_a_test.py:5 cuts to a size, whose bound was not reached"),
        ("kept = []\nmore = ['x']\nn = 0\nreport = ''\ndef f():\n    global kept, report, n\n    n += 1\n"
         "    kept = (more * 900)[:5000]\n    report += '%0900d' % n", None),
        ("import itertools\nids = itertools.cycle(range(5000))\nkept = {}\ndef f():\n    kept[next(ids)] = object()",
         "kept by a container that module_of_a_test.py:5 keeps to a size, whose bound was not reached"),
        ("import itertools\nids = itertools.cycle(range(5000))\ndef f():\n    next(ids)",
         "kept by a cycle over 5000 (module_of_a_test.py:2), whose bound was not reached"),
        ("import itertools\nids = itertools.cycle(range(5000))\nkept = {}\ndef f():\n"
         "    kept[object()] = next(ids)", None),
        ("places, at = [None] * 5000, 0\ndef f():\n    global at\n    places[at] = '%0900d' % at\n    at += 1",
         "kept by a list with 5000 places, of which some are empty, whose bound was not reached"),
    ],
)  # fmt: skip
def test_a_bound_of_what_is_linked_or_made_anew_is_told(load: Load, source: str, told: str | None) -> None:
    module = load(source)
    found = attribute(
        lambda: module.f(),
        is_user=lambda path: path == module.__file__,
        root_path=str(module.__file__).rpartition("/")[0],
        seconds=60.0,
    )
    assert (found.may_end or "").endswith(told or ""), found
    assert (found.may_end is None) == (told is None), found


def test_a_queue_of_asyncio_with_a_bound_is_told(load: Load) -> None:
    module = load("import asyncio\nbounded, all = asyncio.Queue(5000), asyncio.Queue()\n")

    def ask(inbox: asyncio.Queue[object]) -> str | None:
        run = lambda: inbox.put_nowait(object())  # noqa: E731  # as short as it is
        return attribute(run, is_user=lambda path: path == module.__file__, seconds=60.0).bounded

    assert ask(module.bounded) == "an asyncio queue with maxsize 5000"
    assert ask(module.all) is None
