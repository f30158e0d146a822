"""Hooks that other plugins and conftests may implement to extend a measuring run (``--coresys-budget/-observe``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_coresys.probes.base import Probe


@pytest.hookspec
def pytest_coresys_probes(config: pytest.Config) -> Iterable[Probe] | None:
    """Return probes of your own: each adds a measure with budgets, verdicts, report rows and JUnit properties.

    A probe has ``key`` ("group.name"), ``unit`` ("B", "s", "ratio" or "count"), ``start()``, and
    ``stop() -> reading``: a number in that unit, a ``coresys.Reading``, or None for "not measured". Optional
    attributes: ``default`` (the limit, in the unit; None: off), ``level`` ("error", "warn", "off"), ``help``.
    Probes start before the setup of a test, after the built-in ones, and stop after its teardown in reverse order.
    """


@pytest.hookspec
def pytest_coresys_budgets(item: pytest.Item) -> Mapping[str, object] | None:
    """Return budgets for this test: keys to values as in the configuration file (``{"memory.growth": "2 KB"}``).

    Stronger than the configuration, weaker than markers and ``--coresys-set``. Called before the test runs.
    """


@pytest.hookspec
def pytest_coresys_verdict(item: pytest.Item, verdict: dict[str, Any]) -> None:
    """Called when a test was judged, in the process that ran it; ``verdict`` is its entry in the run file."""


@pytest.hookspec
def pytest_coresys_run_finished(run: dict[str, Any]) -> None:
    """Called once, on the controller, with the whole run as the run file has it, before anything is written."""
