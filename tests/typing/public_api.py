"""A typed use of the public API: checked by mypy with everything else, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import coresys
from coresys import Reading, budget
from pytest_coresys.probes.base import Probe


class QueueDepth:
    """A probe of a user's own: no base class, the protocol is enough."""

    key = "queue.depth"
    unit = "count"
    default = 3.0

    def start(self) -> None:
        self._before = 0

    def stop(self) -> Reading:
        return Reading(float(self._before), details=("nothing queued",))


def pytest_coresys_probes(config: pytest.Config) -> list[Probe]:
    return [QueueDepth()]


def pytest_coresys_budgets(item: pytest.Item) -> Mapping[str, object]:
    return {"memory.growth": "2 KB"}


def pytest_coresys_verdict(item: pytest.Item, verdict: dict[str, Any]) -> None:
    nodeid: str = verdict["nodeid"]
    print(nodeid)


@pytest.mark.coresys_budget("memory.growth", max="8 KB", reason="#412")
def test_marked() -> None:
    with budget(memory_growth="4 KB", threads_leaked=0):
        pass


def handled() -> str:
    try:
        with budget(time_call="50 ms"):
            pass
    except coresys.BudgetExceededError as error:
        return f"{error.key}: {error.actual} > {error.limit}"
    return ""
