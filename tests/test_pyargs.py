"""What tests are called by that are outside of the root of the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_coresys.pyargs import Asked, asked_for, names_in


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("own_shop/__init__.py", "own_shop/test_a.py", "own_shop/deep/test_b.py", "own_shop/test.c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [each for each in sys.modules if each.partition(".")[0] == "own_shop"]:
        del sys.modules[name]


def test_arguments_choose_by_names() -> None:
    assert names_in(["a.b::T::t[x::y]", "a.b", "tests/t.py::t"]) == ["a.b", "tests/t.py"]


@pytest.mark.parametrize(
    ("asked", "file", "name"),
    [
        ("own_shop", "own_shop/test_a.py", "own_shop.test_a"),
        ("own_shop.test_a", "own_shop/test_a.py", "own_shop.test_a"),
        ("own_shop", "own_shop/deep/test_b.py", "own_shop.deep.test_b"),
        ("own_shop", "own_shop/__init__.py", "own_shop.__init__"),
        ("own_shop", "own_shop/test.c.py", None),
        ("own_shop.test_a", "own_shop/deep/test_b.py", None),
        ("no.such", "own_shop/test_a.py", None),
        ("../tests/test_a.py", "own_shop/test_a.py", None),
    ],
)
def test_a_file_is_called_by_what_the_import_system_finds(site: Path, asked: str, file: str, name: str | None) -> None:
    path = site / file
    found = Asked([asked], site / "root").module_of(f"{path.name}::test", path)
    assert found == (name or path.as_posix())


def test_what_a_path_from_the_root_leads_to_needs_no_other_name(site: Path) -> None:
    path = site / "own_shop" / "test_a.py"
    assert Asked(["own_shop"], site).module_of("own_shop/test_a.py::test[x::y]", path) is None
    assert Asked(["own_shop"], site).module_of("::test", path) == "own_shop.test_a", "asked for by its own name"


def test_of_what_was_asked_for_is_kept_what_tests_are_part_of() -> None:
    tests = [{"module": "shop.deep.test_b"}, {"module": "/there/test_c.py"}, {}]
    assert asked_for(["shop", "shop.deep", "sho", "tests", "shop.test_a"], tests) == ["shop", "shop.deep"]
