"""The page about components, and the examples in the modules, do what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_page_about_components_runs() -> None:
    page = ROOT / "docs" / "components.md"
    result = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert result.attempted >= 20
    assert result.failed == 0


@pytest.mark.parametrize("name", ["manager", "offers", "registry", "telling"])
def test_the_examples_of_the_modules_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"coresys.components.{name}"), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
