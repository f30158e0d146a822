"""The page about state machines runs as it stands."""

from __future__ import annotations

import doctest
from pathlib import Path

import coresys.state.machine

PAGE = Path(__file__).parents[2] / "docs" / "state.md"


def test_the_examples_of_the_page_run() -> None:
    done = doctest.testfile(str(PAGE), module_relative=False, optionflags=0)
    assert done.attempted > 20
    assert done.failed == 0


def test_the_examples_of_docstrings_run() -> None:
    done = doctest.testmod(coresys.state.machine)
    assert done.attempted > 3
    assert done.failed == 0
