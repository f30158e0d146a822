"""The examples of the documentation are read as they stand."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import coresys
from coresys.errors import hierarchy
from pytest_coresys.config.sources import load_settings
from pytest_coresys.criteria.loading import read
from pytest_coresys.measures import MEASURES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = [
    pytest.param(text, id=f"{path.name}-{number}")
    for path in (ROOT / "README.md", ROOT / "docs" / "configuration.md")
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", path.read_text("utf-8"), re.DOTALL))
    if "[[criterion]]" not in text
]


CRITERIA = [
    pytest.param(text, id=f"{path.name}-{number}")
    for path in (ROOT / "README.md", ROOT / "docs" / "validation.md")
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", path.read_text("utf-8"), re.DOTALL))
    if "[[criterion]]" in text
]


@pytest.mark.parametrize("text", CRITERIA)
def test_an_example_of_criteria_is_right(tmp_path: Path, text: str) -> None:
    (tmp_path / "criteria.toml").write_text(text, encoding="utf-8")
    file = read(tmp_path / "criteria.toml", MEASURES, name="criteria.toml")
    assert file.criteria["shop.order_time"].limit == pytest.approx(0.05)


def test_there_are_examples() -> None:
    assert len(CRITERIA) == 2
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_right(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    settings = load_settings(
        tmp_path,
        inipath=None,
        ini_lines=(),
        cli_sets=(),
        profile=None,
        repeat=None,
        require_measured=(),
        measures=MEASURES,
    )
    if "accept" in text:
        (accept,) = settings.accepts
        assert accept.origin == "pyproject.toml:1"
        return
    assert settings.profile in ("ci", "nightly")
    assert any("pyproject.toml" in limit.origin for limit in settings.limits("tests/test_a.py", ()).values())


# ``coresys.DeadlockError``; not ``pytest_coresys.x``, nor the ``KEY`` of a measure.
_NAMED = re.compile(r"(?<![\w./])coresys((?:\.[a-z_]+)*)\.(?!KEY\b)([A-Z]\w+)")
_IMPORTED = re.compile(r"from (coresys(?:\.\w+)*) import (\([^)]*\)|[^\n]*)")


def names_in(text: str) -> Iterator[tuple[str, str]]:
    """Each name of the library that a page has, with its module."""
    for within, name in _NAMED.findall(text):
        yield f"coresys{within}", name
    for module, names in _IMPORTED.findall(text):
        yield from ((module, name) for name in re.findall(r"\w+", names.partition("#")[0]))


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_names_of_the_library_exist(page: Path) -> None:
    for module, name in names_in(page.read_text("utf-8")):
        assert hasattr(importlib.import_module(module), name), f"{page.name} has {module}.{name}"


def test_names_are_found_in_pages() -> None:
    found = {each for page in PAGES for each in names_in(page.read_text("utf-8"))}
    assert {("coresys", "DeadlockError"), ("coresys", "Reading"), ("coresys.errors", "ErrorManager")} <= found


def test_all_errors_are_names_of_the_library() -> None:
    for name, each in vars(hierarchy).items():
        if isinstance(each, type) and issubclass(each, coresys.CoreSysError):
            assert name in coresys.__all__
            assert getattr(coresys, name) is each
