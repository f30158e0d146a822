"""What the source says about letting go, by the names that hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from coresys.measure.attribution import attribute
from coresys.measure.evictions import evictions

NAMES = frozenset({"rows", "Log"})


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("rows.pop()", "pop()"),
        ("del rows[:100]", "del"),
        ("rows[:] = []", "a slice is replaced"),
        ("if len(rows) > 10: pass", "a bound on len()"),
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
    found = attribute(application["made_in"].submit, is_user=lambda path: path.startswith(str(tmp_path)))
    assert found.evicts is not None
    assert "let_go_in.py:3" in found.evicts
    assert not found.only_grows
