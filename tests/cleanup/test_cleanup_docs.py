"""The page about cleanup, and the example in the module, do what they say."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from coresys.cleanup import manager

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cleanup.md"


def test_the_page_about_cleanup_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it writes a log
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted >= 10
    assert result.failed == 0
    assert (tmp_path / "orders.log").read_text() == "teacake"


def test_the_example_of_the_module_runs() -> None:
    result = doctest.testmod(manager)
    assert result.attempted > 3
    assert result.failed == 0
