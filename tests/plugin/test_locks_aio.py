"""Deadlocks of asyncio tasks in a test run: potential ones found, real ones told, whoever runs the event loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from innersuite import InnerSuite

pytestmark = [pytest.mark.slow, pytest.mark.inner, pytest.mark.other_plugins]
KEY = "locks.potential_deadlocks"
QUIET = '[budgets]\nmemory.growth = "off"\nmemory.fragmentation = "off"\n'

BANK = """\
import asyncio
class Account:
    def __init__(self):
        self.lock = asyncio.Lock()
async def transfer(one, other, pause=0):
    async with one.lock:
        await asyncio.sleep(pause)
        async with other.lock:
            pass
async def in_turn():
    a, b = Account(), Account()
    await asyncio.create_task(transfer(a, b), name="clerk")
    await asyncio.create_task(transfer(b, a), name="teller")
async def at_once():
    a, b = Account(), Account()
    await asyncio.gather(transfer(a, b, 0.01), transfer(b, a, 0.01))
async def one_way():
    a, b = Account(), Account()
    await asyncio.gather(transfer(a, b, 0.01), transfer(a, b, 0.01))
"""

FUNCTIONS = """\
import asyncio, bank, pytest
pytestmark = {mark}
{before}
async def test_in_turn({given}): await bank.in_turn()
async def test_at_once({given}): await bank.at_once()
async def test_for_ever({given}): await asyncio.Event().wait()
async def test_one_way({given}): await bank.one_way()
"""
FIXTURE = """\
@{fixture}
async def service():
    async def work():
        while True: await queue.get()
    queue = asyncio.Queue()
    task = asyncio.create_task(work())
    yield
    task.cancel()
"""
CASES = """\
import asyncio, bank, unittest
class Case(unittest.IsolatedAsyncioTestCase):
    async def test_in_turn(self): await bank.in_turn()
    async def test_at_once(self): await bank.at_once()
    async def test_for_ever(self): await asyncio.Event().wait()
    async def test_one_way(self): await bank.one_way()
"""
RUNS = """\
import asyncio, bank
def test_in_turn(): asyncio.run(bank.in_turn())
def test_at_once(): asyncio.run(bank.at_once())
def test_for_ever(): asyncio.run(asyncio.wait_for(asyncio.Event().wait(), None))
def test_one_way(): asyncio.run(bank.one_way())
"""
ANYIO = "@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
ASYNCIO, WITH_ANYIO = "pytest.mark.asyncio", "pytest.mark.anyio"

SUITES = {
    "asyncio strict": (FUNCTIONS.format(mark=ASYNCIO, before="", given=""), ["-o", "asyncio_mode=strict"]),
    "asyncio auto": (FUNCTIONS.format(mark="[]", before="", given=""), ["-o", "asyncio_mode=auto"]),
    "asyncio with a fixture": (
        FUNCTIONS.format(mark="[]", before=FIXTURE.format(fixture="pytest.fixture"), given="service"),
        ["-o", "asyncio_mode=auto"],
    ),
    "anyio": (FUNCTIONS.format(mark=WITH_ANYIO, before=ANYIO, given=""), ["-p", "no:asyncio"]),
    "anyio with a fixture": (
        FUNCTIONS.format(mark=WITH_ANYIO, before=ANYIO + FIXTURE.format(fixture="pytest.fixture"), given="service"),
        ["-p", "no:asyncio"],
    ),
    "unittest": (CASES, []),
    "asyncio.run": (RUNS, []),
    "asyncio.run, on a worker": (RUNS, ["-n", "1"]),
    "asyncio.run, with a timeout": (RUNS, ["--timeout", "100"]),
    "asyncio.run, with a timer": (RUNS, ["--timeout", "100", "--timeout-method", "thread"]),
}


def places(finding: Any) -> list[tuple[str, int, str]]:
    return [(place["path"], place["line"], place["function"].rpartition(".")[2]) for place in finding["locations"]]


# Each waits for two deadlocks to be told: those that differ least from others are for ``make long``.
OFTEN = ("asyncio strict", "asyncio.run, on a worker")


@pytest.mark.parametrize(
    "suite", [pytest.param(suite, marks=() if suite in OFTEN else pytest.mark.long) for suite in SUITES]
)
def test_a_deadlock_is_found_before_it_happens_and_told_when_it_does(inner: InnerSuite, suite: str) -> None:
    text, arguments = SUITES[suite]
    Path(inner.path, "bank.py").write_text(BANK, encoding="utf-8")
    Path(inner.path, "test_it.py").write_text(text, encoding="utf-8")
    Path(inner.path, "coresys.toml").write_text(QUIET, encoding="utf-8")
    run = inner.run("--coresys-budget", *arguments)
    calls = {name.rpartition("::")[2]: reports for name, reports in run.seen.items()}
    assert {name: reports[1] for name, reports in calls.items()} == {
        "test_in_turn": "call failed",
        "test_at_once": "call failed",
        "test_for_ever": "call failed",
        "test_one_way": "call passed",
    }, run.text
    assert all(reports[2] == "teardown passed" for reports in calls.values()), run.text

    (finding,) = run.test("test_in_turn")["findings"]
    assert finding["key"] == KEY
    assert finding["details"][:2] == [
        "task clerk held Account.lock #1 and took Account.lock #2",
        "task teller held Account.lock #2 and took Account.lock #1",
    ]
    assert places(finding) == [("bank.py", 6, "transfer"), ("bank.py", 8, "transfer")] * 2
    assert finding["locks"] == ["bank.py:4"]

    assert "deadlock of asyncio tasks, nothing can wake the event loop any more:" in run.text
    assert "bank.py:8 in transfer for Account.lock #1, taken by" in run.text
    assert "for an Event" in run.text
    assert not run.test("test_one_way")["findings"]
