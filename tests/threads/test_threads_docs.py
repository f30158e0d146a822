"""The page about threads, and the examples in the modules, do what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest
from threads_helping import ROOT, no_threads_left  # noqa: F401  # autouse

FLAGS = doctest.ELLIPSIS


@pytest.mark.slow
def test_the_page_about_threads_runs() -> None:
    result = doctest.testfile(str(ROOT / "docs" / "threads.md"), module_relative=False, optionflags=FLAGS)
    assert result.attempted >= 20
    assert result.failed == 0


@pytest.mark.parametrize("name", ["atomics", "guarded", "locks", "manager", "pool", "ranks"])
def test_the_examples_of_the_modules_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"coresys.threads.{name}"), optionflags=FLAGS)
    assert result.attempted > 0
    assert result.failed == 0
