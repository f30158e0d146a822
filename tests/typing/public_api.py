"""A typed use of the public API: checked by mypy with everything else, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import coresys
from coresys import Reading, budget
from coresys.errors.retry import retry
from coresys.resources import BufferPools, ConnectionPool, Tier
from coresys.state import SQLiteStore, State, TransitionTable, Trigger, after, inside, on
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


def hold(manager: coresys.IStateManager) -> int:
    record = manager.fire("order 1", "pay", {"amount": 2}, actor="ann")
    return 0 if record is None else record.sequence


def states() -> str | None:
    def in_stock(trigger: Trigger) -> bool:
        return bool(trigger.payload)

    async def mail(trigger: Trigger) -> None:
        print(trigger.machine.state)

    table = TransitionTable(
        "order",
        states=[State("new", initial=True), State("paid", entry=[mail, inside(print)])],
        transitions=[on("pay", "new", "paid", guards=[in_stock]), after(30, "new", "paid")],
    )
    with coresys.StateManager(store=SQLiteStore("orders.db", durability="power")) as manager:
        hold(manager)
        return manager.add("order 1", table).fire("pay")


@retry
def ask(number: int) -> str:
    return str(number)


@retry(retry_on=OSError, deadline=30)
async def ask_later(number: int) -> str:
    return ask(number)


async def asked() -> str:
    return ask(1) + await ask_later(2)


def lent() -> int:
    resources = coresys.ResourceManager(BufferPools([Tier("shared", 4096, 8, shared=True)]))
    lend(resources)
    with resources.view("orders", lease=64 * 1024, reserve={"shared": 2}) as part:
        lend(part)
        token = part.lease(10, owner="parser").hand_over()
        with token.open() as view:
            view[0] = 1
        return len(part.close().leases)


def lend(resources: coresys.IResourceManager) -> memoryview:
    with resources.lease(10, owner="a") as view:
        return view


def connected() -> int:
    pool = ConnectionPool("numbers", lambda: 7, close=print, healthy=bool)
    with pool.acquire(owner="a") as number:
        return number + 1
