"""The page about coordinators does what it says."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coordinators.md"


def test_the_page_about_coordinators_runs() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted >= 18
    assert result.failed == 0
