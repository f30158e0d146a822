"""An executor whose workers stayed in another process works again in a forked child."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_coresys.engine.forked import Send, run_in_child
from pytest_coresys.engine.pools import revive_executors

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

LONG = 60.0


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """With one worker, which waits for work."""
    with ThreadPoolExecutor(2) as executor:
        assert executor.submit(pow, 2, 2).result(LONG) == 4
        yield executor


def workers(executor: Any) -> list[threading.Thread]:
    return list(executor._threads)


def test_it_starts_new_workers_in_the_child(executor: ThreadPoolExecutor) -> None:
    absent = workers(executor)

    def work(send: Send) -> None:
        count = revive_executors(absent)
        gate = threading.Barrier(2)
        together = [executor.submit(gate.wait, LONG) for _ in range(2)]
        passed = sorted(each.result(LONG) for each in together)
        send({"count": count, "passed": passed, "workers": len(workers(executor))})
        executor.shutdown()
        send({"down": True})

    seen = run_in_child(work, timeout=LONG).merged()
    assert (seen["count"], seen["passed"], seen["workers"], seen["down"]) == (1, [0, 1], 2, True)


def test_work_that_waits_for_the_workers_of_the_parent_is_theirs(executor: ThreadPoolExecutor) -> None:
    gate = threading.Event()
    busy = [executor.submit(gate.wait, LONG) for _ in range(2)]
    waits = executor.submit(os.getpid)
    absent = workers(executor)

    def work(send: Send) -> None:
        revive_executors(absent)
        send({"result": executor.submit(pow, 2, 3).result(LONG), "ran": waits.done()})

    seen = run_in_child(work, timeout=LONG).merged()
    gate.set()
    assert (seen["result"], seen["ran"]) == (8, False)
    assert [each.result(LONG) for each in busy] == [True, True]
    assert waits.result(LONG) == os.getpid()


class Own(ThreadPoolExecutor):
    """May rely on anything."""


def test_other_threads_and_executors_of_another_kind_are_left_alone() -> None:
    gate = threading.Event()
    other = threading.Thread(target=gate.wait, args=(LONG,))
    other.start()
    with Own(1) as own:
        own.submit(pow, 2, 2).result(LONG)
        before = workers(own)
        assert revive_executors([other, *before]) == 0
        assert workers(own) == before
    gate.set()
    other.join()


@pytest.mark.parametrize("name", ["_idle_semaphore", "_work_queue"])
def test_one_that_is_made_in_another_way_is_left_as_it_is(name: str, executor: Any) -> None:
    """Of a Python to come."""
    kept, before = getattr(executor, name), workers(executor)
    delattr(executor, name)
    try:
        assert revive_executors(before) == 0
        assert workers(executor) == before
    finally:
        setattr(executor, name, kept)
