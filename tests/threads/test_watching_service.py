"""``coresys.threads.watch()``: the locks of a program in service, watched without pytest."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coresys.errors.hierarchy import DeadlockError
from coresys.monitoring import MonitoringManager
from coresys.records import Location
from coresys.threads import LockReport, Watch, watch
from coresys.threads.watching import aio_loops, aio_stuck, busy, chains, deadlocks, ledger, waits
from coresys.threads.watching.busy import Busy
from coresys.threads.watching.graph import Edge, Node
from coresys.threads.watching.install import install, installed_times, uninstall
from coresys.threads.watching.service import Orders

NEVER = 3600.0  # seconds: looks only when it is asked to


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody has work for the processors, so that what is waited is lost; and all is as it was in the end."""
    monkeypatch.setattr(ledger, "_busy", Busy(lambda number: 0.0, processor=lambda: 0.0, threads=lambda: [1]))
    for name in ("processor_time", "own_time"):
        monkeypatch.setattr(ledger, name, lambda: 0.0)
    monkeypatch.setattr(ledger, "worked_by", lambda number: 0.0)
    monkeypatch.setattr(busy, "discounts", True)
    before = threading.Lock, installed_times()
    yield
    assert (threading.Lock, installed_times()) == before
    assert chains.renewed == []


def inversion() -> None:
    one = threading.Lock()
    other = threading.Lock()
    with one, other:
        pass
    with other, one:
        pass


def waited_for(lock: Any) -> bool:
    return any(party.waiting is not None and party.waiting.target is lock._ident for party in chains.parties())


def contention(lock: Any, seconds: float = 0.1) -> None:
    held = threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            end = time.monotonic() + 30
            while not waited_for(lock) and time.monotonic() < end:
                time.sleep(0.001)
            time.sleep(seconds)

    holder = threading.Thread(target=hold, name="holder")
    holder.start()
    held.wait()
    with lock:
        pass
    holder.join()


def test_a_potential_deadlock_is_reported_once_with_both_orders() -> None:
    told: list[LockReport] = []
    with watch(told.append, every=NEVER) as found:
        for _ in range(3):
            inversion()  # other locks each time: one inversion
            found.check()
        assert found.check() == ()
    (report,) = told
    assert report.kind == "potential_deadlock"
    assert report.summary == "potential deadlock: one, other are taken in more than one order"
    assert [place.note for place in report.locations] == ["one taken", "then other", "other taken", "then one"]
    assert "inversion one taken" in str(report)


def test_halves_that_are_seen_at_different_times_make_one() -> None:
    told: list[LockReport] = []
    with watch(told.append, every=NEVER) as found:
        one, other = threading.Lock(), threading.Lock()
        with one, other:
            pass
        assert found.check() == ()
        for _ in range(3):
            assert found.check() == ()  # nothing is noted any more
        with other, one:
            pass
        assert len(found.check()) == 1


def test_contention_is_reported_when_it_begins_and_again_when_it_comes_back() -> None:
    told: list[LockReport] = []
    with watch(told.append, every=NEVER) as found:
        hot = threading.Lock()
        for often in (True, True, False, True):
            if often:
                contention(hot)
            found.check()
    assert [report.kind for report in told] == ["contention", "contention"]
    assert told[0].value == pytest.approx(1.0)
    assert told[0].summary.startswith("lock contention: hot cost its threads 100% of their time in ")
    notes = [place.note for place in told[0].locations]
    assert notes[0] == "hot made"
    assert notes[2] == "taken by holder then"


def test_a_limit_that_is_not_passed_reports_nothing() -> None:
    told: list[LockReport] = []
    with watch(told.append, every=NEVER, contention=1.0) as found:
        contention(threading.Lock())
        assert found.check() == ()
    assert told == []


def test_the_monitoring_is_told_figures() -> None:
    monitoring = MonitoringManager()
    with watch(monitoring=monitoring, every=NEVER) as found:
        inversion()
        hot = threading.Lock()
        contention(hot)
        found.check()
        seen = monitoring.snapshot()
    counters = {(name, component): value for name, component, value in seen.counters}
    gauges = {name: value for name, _, value in seen.gauges}
    assert counters["coresys.locks.potential_deadlocks", ""] == 1
    assert counters["coresys.locks.waits", "hot"] == 1
    assert counters["coresys.locks.blocked", "hot"] > 0
    assert gauges["coresys.locks.contention"] == pytest.approx(1.0)
    assert gauges["coresys.locks.longest_wait"] == counters["coresys.locks.blocked", "hot"]
    assert "coresys.locks.interpreter_wait" in gauges


def test_without_anybody_to_tell_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="coresys.locks"), watch(every=NEVER):
        inversion()
    (record,) = caplog.records
    assert record.getMessage().startswith("potential deadlock: one, other")


def meet() -> tuple[list[Any], list[threading.Thread], list[BaseException]]:
    """Two threads that have begun to wait for one another; and what is raised in them."""
    locks = [threading.Lock(), threading.Lock()]
    both = threading.Barrier(2)
    raised: list[BaseException] = []

    def go(one: Any, other: Any) -> None:
        try:
            with one:
                both.wait()
                with other:
                    pass
        except (DeadlockError, RuntimeError) as error:
            raised.append(error)

    given = {"left": locks, "right": locks[::-1]}
    threads = [threading.Thread(target=go, args=those, name=name) for name, those in given.items()]
    for thread in threads:
        thread.start()
    return locks, threads, raised


def told_of(told: list[LockReport], kind: str) -> list[LockReport]:
    end = time.monotonic() + 30
    while not any(report.kind == kind for report in told) and time.monotonic() < end:
        time.sleep(0.001)
    return [report for report in told if report.kind == kind]


def test_a_deadlock_is_reported_at_once_with_all_stacks_and_no_contention() -> None:
    told: list[LockReport] = []
    monitoring = MonitoringManager()
    with watch(told.append, monitoring=monitoring, every=NEVER):
        _, threads, raised = meet()
        for thread in threads:
            thread.join()
        (report,) = told_of(told, "deadlock")
    assert len(raised) == 1
    assert report.summary in (
        "deadlock: left and right wait for one another",
        "deadlock: right and left wait for one another",
    )
    stacks = [detail for detail in report.details if detail.startswith("stack of ")]
    assert [each.split()[2] for each in stacks] in (["left:", "right:"], ["right:", "left:"])
    assert all(" in go < " in each for each in stacks)
    assert f"broken by a DeadlockError in {stacks[0].split()[2][:-1]}" in report.details
    assert not any(each.kind == "contention" for each in told)
    counters = {name: value for name, _, value in monitoring.snapshot().counters}
    assert counters["coresys.locks.deadlocks"] == 1


def test_a_deadlock_that_is_not_to_be_broken_is_reported_once_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "LONGEST", 0.05)
    told: list[LockReport] = []
    with watch(told.append, every=NEVER, breaks=False) as found:
        locks, threads, raised = meet()
        (report,) = told_of(told, "deadlock")
        assert "not broken: they go on waiting" in report.details
        looked = max(party.waiting.looked for party in chains.parties() if party.waiting is not None)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if any(p.waiting is not None and p.waiting.looked > looked + 3 for p in chains.parties()):
                break
            time.sleep(0.001)
        assert found.check() == ()
        assert all(thread.is_alive() for thread in threads)
        locks[0].release()
        for thread in threads:
            thread.join()
    assert [each.kind for each in told] == ["deadlock"]
    assert all(isinstance(each, RuntimeError) for each in raised)
    assert not deadlocks.spared()


def test_a_deadlock_of_tasks_that_is_not_to_be_broken_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio_stuck, "QUIET", 0.05)
    monkeypatch.setattr(aio_loops, "SLICE", 0.02)
    told: list[LockReport] = []

    async def go(one: asyncio.Lock, other: asyncio.Lock) -> None:
        async with one:
            await asyncio.sleep(0)
            async with other:
                pass

    async def main() -> None:
        one, other = asyncio.Lock(), asyncio.Lock()
        tasks = [asyncio.create_task(go(one, other)), asyncio.create_task(go(other, one))]
        end = time.monotonic() + 20
        while not told and time.monotonic() < end:
            await asyncio.sleep(0.001)
        for _ in range(20):
            await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [True, False]
        assert tasks[1].exception() is None

    with watch(told.append, every=NEVER, breaks=False):
        asyncio.run(main())
    assert [each.kind for each in told if each.kind == "deadlock"] == ["deadlock"]


ALONE = """
import asyncio, json, threading
from coresys.errors.hierarchy import DeadlockError
from coresys.threads import watch
from coresys.threads.watching import deadlocks
deadlocks.QUIET, deadlocks.AGAIN = 0.6, 0.4
told, raised = [], []
def event():
    threading.Event().wait()
def tasks():
    lock = threading.Lock()
    def write():
        with lock: return 1
    async def export():
        with lock: return await asyncio.to_thread(write)
    asyncio.run(export())
with watch(told.append, every=EVERY):
    try: WHAT()
    except DeadlockError as error: raised.append(type(error).__name__)
print(json.dumps([raised, [report.kind for report in told]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("every", [0.05, 10])
@pytest.mark.parametrize(("what", "error"), [("event", "DeadlockError"), ("tasks", "TaskDeadlockError")])
def test_its_own_thread_is_none_that_could_end_a_wait(what: str, error: str, every: float) -> None:
    """Nobody else is there to end it: the thread of the watch, which looks every now and then, was taken for one."""
    code = ALONE.replace("WHAT", what).replace("EVERY", str(every))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[error], ["deadlock"]], done.stderr


def test_it_looks_by_itself_now_and_then() -> None:
    told = threading.Event()
    with watch(lambda report: told.set(), every=0.01):
        inversion()
        assert told.wait(30)


def test_a_report_that_raises_is_logged_and_the_watch_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(report: LockReport) -> None:
        raise RuntimeError("no")

    with caplog.at_level(logging.ERROR, logger="coresys.locks"), watch(refuse, every=NEVER) as found:
        inversion()
        assert len(found.check()) == 1
        contention(threading.Lock())
        assert len(found.check()) == 1
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


def test_it_may_be_started_and_stopped_again_and_by_a_report() -> None:
    told: list[LockReport] = []

    def stop(report: LockReport) -> None:
        told.append(report)
        found.stop()

    found = watch(stop, every=0.01)
    found.stop()
    for _ in range(2):
        assert found.start() is found
        found.start()
        inversion()
        end = time.monotonic() + 30
        while installed_times() and not told and time.monotonic() < end:
            time.sleep(0.001)
        found.stop()
        inversion()
        assert found.check() == ()
    assert len(told) == 1  # the second is the same again


def test_beside_another_watch_nobody_loses_notes() -> None:
    """A service under test, in a run that watches locks: the leaves are the run's."""
    install()
    try:
        chains.renew()
        with watch(lambda report: None, every=NEVER) as found:
            inversion()
            assert len(found.check()) == 1
            inversion()
            book = chains.renew()  # as at the end of a test
            assert len(book.seen) == 4
            one, other = threading.Lock(), threading.Lock()
            with one, other:
                pass
            chains.renew()
            with other, one:
                pass
            assert len(found.check()) == 1
    finally:
        uninstall()


@pytest.mark.parametrize("every", [0, -1.0, float("nan")])
def test_seconds_that_are_none_are_refused(every: float) -> None:
    with pytest.raises(ValueError, match="it takes seconds, more than 0"):
        watch(every=every)


def test_it_is_no_burden_once_it_is_stopped() -> None:
    before = threading.active_count()
    with watch(every=NEVER) as found:
        assert threading.active_count() == before + 1
        assert isinstance(found, Watch)
    assert threading.active_count() == before
    for hooks in (waits.begun, waits.lasting, waits.looks, waits.heard, chains.arrived, chains.gone):
        assert not any(getattr(hook, "__module__", "") == ledger.__name__ for hook in hooks)


def edge_between(source: int, target: int, scope: str, line: int = 1) -> tuple[dict[int, Node], list[Edge]]:
    nodes = {number: Node(number, "lock", "a", Location("a.py", 1), scope) for number in (source, target)}
    return nodes, [Edge(source, target, "t", Location("a.py", line), Location("a.py", line + 1))]


def test_of_many_orders_the_latest_are_kept_and_those_of_modules_apart() -> None:
    orders = Orders(most=3)
    assert orders.add(*edge_between(1, 2, "module"))
    for number in range(10, 20, 2):
        assert orders.add(*edge_between(number, number + 1, "instance"))
    assert [edge.source for edge in orders.edges()] == [1, 14, 16, 18]
    assert not orders.add(*edge_between(14, 15, "instance"))  # it is taken still
    assert orders.add(*edge_between(20, 21, "instance"))
    assert [edge.source for edge in orders.edges()] == [1, 18, 14, 20]
    assert sorted(orders.nodes()) == [1, 2, 14, 15, 18, 19, 20, 21]


def test_what_is_kept_does_not_grow_with_locks_that_come_and_go() -> None:
    with watch(every=NEVER) as found:
        sizes = []
        for _ in range(3):
            for _ in range(3000):
                inner, outer = threading.Lock(), threading.Lock()
                with outer, inner:
                    pass
            found.check()
            sizes.append(len(found._orders.edges()))
    assert sizes == [3000, 4000, 4000]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_not_watched_until_it_is_started_there() -> None:
    with watch(lambda report: None, every=NEVER) as found:
        inversion()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                quiet = installed_times() == 0 and found.check() == ()
                found.start()
                inversion()
                status = 0 if quiet and len(found.check()) == 1 else 2
                found.stop()
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert len(found.check()) == 1


def test_the_example_of_the_docs_does_what_they_say(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "locks.md").read_text()
    section = text.partition("## In a live service")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    shown = section.partition("```text\n")[2].partition("```")[0]
    script = tmp_path / "service.py"
    script.write_text(code)
    ran = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stderr == ""
    assert ran.stdout.replace(str(script), "service.py") == textwrap.dedent(shown)
