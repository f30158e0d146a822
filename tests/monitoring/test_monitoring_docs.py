"""The page about monitoring, and the examples in the modules, do what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest
from monitoring_helping import ROOT, linux, no_threads_left  # noqa: F401  # autouse


@linux
@pytest.mark.slow
def test_the_page_about_monitoring_runs() -> None:
    result = doctest.testfile(str(ROOT / "docs" / "monitoring.md"), module_relative=False)
    assert result.attempted >= 20
    assert result.failed == 0


@pytest.mark.parametrize("name", ["alarms", "counters", "histogram", "manager", "series"])
def test_the_examples_of_the_modules_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"coresys.monitoring.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
