"""What the source says about letting go, by the names that hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from coresys.measure.attribution import attribute
from coresys.measure.evictions import (
    bounds,
    cut_where_made,
    evictions,
    function_by_time,
    guards,
    length_compared,
    own_bounds,
    own_evictions,
)

NAMES = frozenset({"rows", "Log"})


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if len(rows) > 800: rows.clear()", [(1, 800)]),
        ("rows[n % 800] = 1", [(1, 800)]),
        ("rows[n & 0x3FF] = 1", [(1, 1024)]),
        ("rows[0x3FF & n] = 1", [(1, 1024)]),
        ("rows[n & mask] = 1", [(1, None)]),
        ("def f(n):\n    slot = n % 800\n    rows[slot] = n", [(3, 800)]),
        ("def f(n):\n    slot = n % 800\n    slot = n\n    rows[slot] = n", []),
        ("def f(slot):\n    rows[slot] = 1\ndef g(n):\n    slot = n % 800", []),
        ("ids = itertools.cycle(range(1024))\nrows[next(ids)] = 1", [(2, 1024)]),
        ("ids = cycle('abc')\ndef f():\n    id_ = next(ids)\n    rows[id_] = 1", [(4, None)]),
        ("self.ids = cycle(range(9))\nrows[next(self.ids)] = 1", [(2, 9)]),
        ("ids = itertools.count()\nrows[next(ids)] = 1", []),
        ("rows[key] = n % 800", []),
        ("rows['%d' % n] = 1", []),
        ("def f(n):\n    name = 'row %d' % next(n)\n    rows[name] = n", []),
        ("del rows[:-800]", [(1, 800)]),
        ("del rows[800:]", [(1, 800)]),
        ("del self.rows[:-most]", [(1, None)]),
        ("del rows[:800]", []),
        ("del rows[-800:]", []),
        ("del rows[:]", []),
        ("del other[:-800]", []),
        ("rows[:] = rows[-800:]", [(1, 800)]),
        ("rows = rows[:800]", [(1, 800)]),
        ("self.rows = (self.rows + more)[-65536:]", [(1, 65536)]),
        ("last = rows[-800:]", []),
        ("page.shown = self.rows[:20]", []),
        ("rows = rows[1:]", []),
        ("rows = rows[::2]", []),
        ("rows.extend(more[-800:])", []),
    ],
)
def test_what_keeps_to_a_size_is_seen_with_the_size(
    tmp_path: Path, source: str, found: list[tuple[int, int | None]]
) -> None:
    path = tmp_path / "kept.py"
    path.write_text(source, encoding="utf-8")
    assert bounds(str(path), NAMES) == found


@pytest.mark.parametrize(
    ("source", "sizes"),
    [
        ("self.text = (self.text + more)[-65536:]", [65536]),
        ("text = (text + more)[:limit]", [None]),
        ("text = (\n    text + more\n)[-9:]", [9]),
        ("last = text[-9:]", []),
        ("text = text + more[-9:]", []),
        ("text += more[-9:]", []),
    ],
)
def test_a_text_that_is_cut_where_it_is_bound_is_seen(tmp_path: Path, source: str, sizes: list[int | None]) -> None:
    path = tmp_path / "cut.py"
    path.write_text(source, encoding="utf-8")
    assert cut_where_made(str(path), 1) == sizes


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("rows.pop()", "pop()"),
        ("del rows[:100]", "del"),
        ("rows[:] = []", "a slice is replaced"),
        ("if len(rows) > 10: pass", "a bound on len()"),
        ("assert len(rows) <= 10", "a bound on len()"),
        ("mine = self.rows\nassert len(mine) <= 10", "a bound on len()"),
        ("assert len(list(rows)) <= 10", "a bound on len()"),
        ("assert not len(self.rows.keys()) > 10", "a bound on len()"),
        ("old = rows[0]\nif len(rows) > len(most): pass", "a bound on len()"),
        ("send(rows)", "handed to send()"),
        ("def f():\n    global rows\n    rows = []", "bound anew"),
        ("def f():\n    global rows\n    rows: list = rows[-10:]", "bound anew"),
        ("def f():\n    global rows, old\n    old, rows = rows, old", "bound anew"),
        ("def f():\n    global rows\n    rows = [each for each in rows if each.alive]", "bound anew"),
        ("class Log:\n    def clear(self):\n        self.rows = []", "bound anew"),
        ("def f():\n    Log.rows = None", "bound anew"),
        ("for each in rows:\n    each.clear()", "clear()"),
        ("[each.pop() for each in rows]", "pop()"),
        ('def f(state):\n    state["rows"] = []', "bound anew"),
        ("def f(state):\n    state.update(rows=[])", "update()"),
        ('setattr(state, "rows", [])', "setattr()"),
    ],
)
def test_letting_go_is_seen(tmp_path: Path, source: str, what: str) -> None:
    path = tmp_path / "source.py"
    path.write_text(source, encoding="utf-8")
    assert [found for _, _, found in evictions(str(path), NAMES)] == [what]


@pytest.mark.parametrize(
    "source",
    [
        "rows = []",
        "class Log:\n    rows = []",
        "class Log:\n    def __init__(self):\n        self.rows = []",
        "def f():\n    rows = []",
        "def f():\n    global rows\n    rows = rows + [1]",
        "def f():\n    global rows\n    rows = (rows, 1)",
        "def f():\n    global rows\n    rows = rows or []",
        "def f():\n    global rows\n    rows: list",
        "def f():\n    global rows\n    rows += [1]",
        "rows.append(len(rows))",
        "other.pop()",
        "answer = rows.send()\nassert len(answer) < 100",
        "first, second = rows.send(), rows.send()\nassert len(second) < len(first)",
        "first, second = rows.send(), rows.send()\nif len(second) < len(first): pass",
    ],
)
def test_keeping_is_not_letting_go(tmp_path: Path, source: str) -> None:
    path = tmp_path / "source.py"
    path.write_text(source, encoding="utf-8")
    assert evictions(str(path), NAMES) == []


@pytest.fixture
def application(tmp_path: Path) -> Iterator[dict[str, ModuleType]]:
    """A list in one file, filled by a second, cleared by a third."""
    sources = {
        "kept_in": "pending = []\n",
        "made_in": "from kept_in import pending\ndef submit():\n    pending.append([None] * 300)\n",
        "let_go_in": "from kept_in import pending\ndef flush():\n    del pending[:]\n",
    }
    modules = {}
    for name, source in sources.items():
        path = tmp_path / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        modules[name] = sys.modules[name] = ModuleType(name)
        modules[name].__file__ = str(path)
        exec(compile(source, str(path), "exec"), vars(modules[name]))
    yield modules
    for name in sources:
        del sys.modules[name]


def test_letting_go_is_looked_for_wherever_the_name_is_used(application: dict[str, ModuleType], tmp_path: Path) -> None:
    found = attribute(application["made_in"].submit, is_user=lambda path: path.startswith(str(tmp_path)), seconds=60.0)
    assert found.evicts is not None
    assert "let_go_in.py:3" in found.evicts
    assert not found.only_grows


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import time\n@wraps\ndef put(rows):\n    if time.time() > 3:\n        rows.pop()", 2),
        ("def put(rows, max_age):\n    rows.pop()", None),
        ("def put(rows, max_age):\n    if rows[0].born > max_age:\n        rows.pop()", 1),
        ("def put(rows):\n    first = time() - 9\n    edge = first\n    while rows[0] < edge:\n        rows.pop()", 1),
        ("def put(rows):\n    began = time()\n    rows.pop()\n    return time() - began", None),
        ("def put(rows):\n    began = time()\n    rows.pop()\n    assert time() - began < 5", None),
        ("def put(rows):\n    [rows.pop() for each in rows if each.expired]", 1),
        (
            "def put(self, item):\n    while self.rows and self.rows[0].expires_at < self.clock():\n        rows.pop()",
            1,
        ),
        ("def put(rows, times):\n    rows.pop()", None),
        ("import time\ntime.time()\nrows.pop()", None),
        ("import time\ndef put():\n    time.time()\ndef take(rows):\n    rows.pop()", None),
    ],
)
def test_a_function_that_looks_at_a_clock_is_told_by_where_it_begins(
    tmp_path: Path, source: str, line: int | None
) -> None:
    path = tmp_path / "source.py"
    path.write_text(source)
    at = next(number for number, text in enumerate(source.splitlines(), 1) if "rows.pop()" in text)
    assert function_by_time(str(path), at) == line


OWN = """
class Recent(dict):
    limit = 3000
    def __setitem__(self, key, value):
        while len(self) >= self.limit:
            self.pop(next(iter(self)))
            del self[key]
        super().__setitem__(key, value)
    def trim(self): super().clear()

class Other(dict):
    def trim(self):
        self.clear()
        return len(self) > 3 and len(self) > len(other)
"""


def test_what_a_class_takes_out_of_itself_is_seen_in_that_class_only(tmp_path: Path) -> None:
    path = tmp_path / "source.py"
    path.write_text(OWN)
    assert {what for _, _, what in own_evictions(str(path), {"Recent"})} == {"pop()", "del", "clear()"}
    assert {line for line, _, _ in own_evictions(str(path), {"Other"})} == {13}
    assert own_bounds(str(path), {"Recent"}, frozenset()) == [(5, 3000)]
    assert own_bounds(str(path), {"Other"}, frozenset()) == [(14, 3)]
    assert own_bounds(str(path), {"dict"}, frozenset()) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def take(pool):\n    if len(pool) < 80:\n        pool.append(open('x'))", 2),
        ("def take(self):\n    while len(self.all) < self.most:\n        self.all[self.next()] = open('x')", 2),
        ("def take(payload):\n    if len(payload) > 80: raise ValueError\n    kept.append(open('x'))", None),
        ("def take(pool):\n    pool.append(open('x'))\n    return len(pool)", None),
        ("def test():\n    pool = []\n    pool.append(open('x'))\n    assert len(pool) >= 1", None),
    ],
)
def test_a_pool_is_kept_to_a_size_by_the_length_of_what_is_added_to(
    tmp_path: Path, source: str, line: int | None
) -> None:
    path = tmp_path / "source.py"
    path.write_text(source)
    assert length_compared(str(path), 3) == line


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def add(self):\n    while self.used > self.most:\n        self.rows.popitem()", [(2, range(3, 4))]),
        ("def add(self):\n    if self.buffer.tell() > LIMIT:\n        self.buffer.truncate()", [(2, range(3, 4))]),
        ("def add(self):\n    'now'\n    if self.used > self.most: self.rows.popitem()", [(3, range(4, 4))]),
        ("def add(self):\n    if self.used <= self.most: return\n    self.rows.popitem()", [(2, range(3, 4))]),
        ("def put(self):\n  if self.n < MAX: add()\n  else: self.rows.popitem()", [(2, range(3, 4))]),
        ("class Rows:\n  def purge(self):\n    self.rows.clear()\n"
         "  def add(self):\n    self.calls += 1\n    if self.calls % 1000 == 0:\n      self.purge()",
         [(6, range(7, 8))]),
        ("def flush(state):\n    'when it is full'\n    state.rows.clear()\n"
         "def add(state):\n    state.n += 1\n    if state.n == state.size:\n        flush(state)", [(6, range(7, 8))]),
        ("class Session:\n  def close(self):\n    REGISTRY.pop(self.key)\n"
         "def save(file, data):\n    if len(data) > MOST:\n        file.close()", []),
        ("def close(self):\n    if self.state == CLOSED:\n        self.rows.pop(self.key)", []),
        ("def close(self):\n    if self.users <= 0:\n        self.rows.pop(self.key)", []),
        ("def close(self):\n    if self.key in self.rows:\n        self.rows.pop(self.key)", []),
        ("def close(self):\n    'always'\n    self.rows.pop(self.key)", []),
    ],
)  # fmt: skip
def test_a_condition_on_a_number_under_which_entries_are_let_go_of(
    tmp_path: Path, source: str, found: list[tuple[int, range]]
) -> None:
    path = tmp_path / "source.py"
    path.write_text(source)
    assert guards(str(path), 3) == found


def test_what_is_let_go_of_on_a_condition_that_was_not_met_may_end(tmp_path: Path) -> None:
    path = tmp_path / "batches.py"
    path.write_text(
        "class Batches:\n"
        "    def __init__(self, most):\n"
        "        self.rows, self.used, self.most = {}, 0, most\n"
        "    def add(self):\n"
        "        self.rows[self.used] = [None] * 50\n"
        "        self.used += 1\n"
        "        while self.used > self.most:\n"
        "            self.rows.popitem()\n"
        "class Careless(Batches):\n"
        "    def add(self):\n"
        "        self.rows[len(self.rows)] = [None] * 50\n"
        "large, careless = Batches(10**6), Careless(10)\n",
        encoding="utf-8",
    )
    module = sys.modules["batches"] = ModuleType("batches")
    module.__file__ = str(path)
    try:
        exec(compile(path.read_text(), str(path), "exec"), vars(module))
        waiting = attribute(module.large.add, is_user=lambda path: path.startswith(str(tmp_path)), seconds=60.0)
        leaking = attribute(module.careless.add, is_user=lambda path: path.startswith(str(tmp_path)), seconds=60.0)
    finally:
        del sys.modules["batches"]
    assert (waiting.may_end or "").endswith("batches.py:8 lets go of entries (popitem()) on a condition at line 7, "
                                            "which was not met")  # fmt: skip
    assert leaking.lines
    assert leaking.guarded is None
