"""Every step once, in order, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from interrupting import NOT_TRACED, Hitting, interrupt, untraced

from coresys.cleanup import manager as manager_module
from coresys.cleanup.manager import CleanupManager
from coresys.errors.hierarchy import CleanupIncompleteError, CleanupOrderError
from coresys.system_records import CleanupReport, CleanupStep
from coresys.testing.fakes import FakeClock

FOREVER = 30.0  # seconds, that no test waits for


class Steps:
    """A manager with steps that note themselves."""

    def __init__(self, **given: Any) -> None:
        self.manager = CleanupManager(**given)
        self.begun: list[str] = []

    def add(self, name: str, do: Callable[[], object] | None = None, **spec: Any) -> None:
        def run() -> object:
            self.begun.append(name)
            return do() if do is not None else None

        self.manager.add(CleanupStep(name, **spec), run)

    def add_async(self, name: str, do: Callable[[], Any] | None = None, **spec: Any) -> None:
        async def run() -> object:
            self.begun.append(name)
            return await do() if do is not None else None

        self.manager.add(CleanupStep(name, **spec), run)

    def run(self, way: str = "run", **given: Any) -> CleanupReport:
        if way == "run":
            return self.manager.run(**given)
        return asyncio.run(self.manager.run_async(**given))


def fails() -> None:
    raise OSError("disk full")


ways = pytest.mark.parametrize("way", ["run", "run_async"])


@ways
def test_failures_and_what_hangs_stop_nothing_and_all_are_told(way: str) -> None:
    steps, told, gate = Steps(), list[str](), threading.Event()
    steps.manager._on_error = lambda error, step: told.append(f"{step.name}: {error}")
    steps.add("last", phase="verify")
    for number in range(18):
        steps.add(f"step {number}", phase="drain")
    steps.add("fails", fails, phase="drain")
    steps.add("hangs", gate.wait, phase="drain", deadline=0.0)
    steps.add("after both", after=("fails", "hangs"))
    report = steps.run(way)
    gate.set()
    assert len(steps.begun) == 22
    assert steps.begun[-2:] == ["after both", "last"]
    assert report.failed == (("fails", "OSError: disk full"),)
    assert report.hung == ("hangs",)
    assert set(report.done) == {name for name in steps.begun if name not in ("fails", "hangs")}
    assert not report.complete
    assert told == ["fails: disk full"]


@ways
def test_a_second_run_does_nothing(way: str) -> None:
    steps = Steps()
    steps.add("once")
    assert steps.run(way).done == ("once",)
    assert steps.run(way) == CleanupReport((), (), (), (), steps.manager.last_report.seconds)  # type: ignore[union-attr]
    steps.add("once")
    assert steps.run(way).done == ("once",), "its name was free again"


@ways
def test_all_errors_are_raised_as_one(way: str) -> None:
    steps, gate = Steps(), threading.Event()
    steps.add("first", fails)
    steps.add("second", lambda: [].pop())
    steps.add("hangs", gate.wait, deadline=0.0)
    with pytest.raises(
        CleanupIncompleteError, match=r"first failed: OSError: disk full; second failed: Index.*; hangs"
    ):
        steps.run(way, raising=True)
    gate.set()
    steps.add("first", fails)
    with pytest.raises(CleanupIncompleteError) as caught:
        steps.run(way, raising=True)
    error = caught.value
    assert [type(each) for each in error.errors] == [OSError]
    assert error.__cause__ is not None
    if sys.version_info >= (3, 11):
        assert error.__cause__.exceptions == error.errors  # type: ignore[attr-defined]
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.failed, copied.errors, str(copied)) == (error.failed, (), str(error))
    assert steps.run(way, raising=True).complete


def test_what_has_no_deadline_runs_in_the_thread_that_runs_the_cleanup() -> None:
    steps, threads = Steps(), dict[str, threading.Thread]()

    def note(name: str) -> Callable[[], None]:
        return lambda: threads.__setitem__(name, threading.current_thread())

    steps.add("plain", note("plain"))
    steps.add("blocking", note("blocking"), blocking=True)
    steps.add("deadline", note("deadline"), deadline=FOREVER)
    steps.add("here", note("here"), deadline=FOREVER, here=True)
    assert steps.run().complete
    me = threading.current_thread()
    assert {name: thread is me for name, thread in threads.items()} == {
        "plain": True,
        "blocking": False,
        "deadline": False,
        "here": True,
    }
    steps.add("plain", note("plain"))
    assert steps.run(deadline=FOREVER).complete
    assert threads["plain"] is not me
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cleanup")]


@ways
def test_one_that_cannot_be_left_behind_is_told_as_late(way: str) -> None:
    steps = Steps()
    now = [0.0]
    steps.manager._now = lambda: now[0]
    steps.add("here", lambda: now.__setitem__(0, 3.0), deadline=1.0, here=True)
    report = steps.run(way)
    assert report.done == ("here",)
    assert report.failed == (("here", "it was done, but took 3 s of 1 s"),)


@ways
def test_the_deadline_of_the_whole_is_that_of_each_and_all_are_begun(way: str) -> None:
    steps, gate = Steps(), threading.Event()
    for name in "abc":
        steps.add(name, gate.wait)
    report = steps.run(way, deadline=0.02)
    gate.set()
    assert (steps.begun, report.hung) == (["a", "b", "c"], ("a", "b", "c"))


@ways
def test_coroutines_are_awaited_and_cancelled_when_late(way: str) -> None:
    steps, cancelled = Steps(), list[str]()

    async def slow() -> None:
        try:
            await asyncio.sleep(FOREVER)
        except asyncio.CancelledError:
            cancelled.append("slow")
            raise

    async def quick() -> None:
        await asyncio.sleep(0)

    steps.add_async("quick", quick)
    steps.add("from a function", quick)
    steps.add_async("slow", slow, deadline=0.01)
    steps.add_async("fails", lambda: asyncio.wait_for(asyncio.sleep(FOREVER), 0))
    steps.add("last", phase="verify")
    report = steps.run(way)
    assert set(report.done) == {"quick", "from a function", "last"}
    assert steps.begun == ["quick", "from a function", "slow", "fails", "last"]
    if way == "run_async":
        assert [name for name, _ in report.failed] == ["slow", "fails"]
        assert dict(report.failed)["slow"] == "TimeoutError: it was cancelled after 0.01 s"
        assert cancelled == ["slow"]
    else:
        assert report.hung == ("slow",)


def test_a_coroutine_that_does_not_end_when_it_is_cancelled_is_left_behind() -> None:
    steps, over = Steps(), asyncio.Event()

    async def stubborn() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                pass

    async def main() -> CleanupReport:
        report = await steps.manager.run_async()
        over.set()
        await asyncio.sleep(0)
        return report

    steps.add_async("stubborn", stubborn, deadline=0.0)
    steps.add("next")
    report = asyncio.run(main())
    assert (report.hung, report.done) == (("stubborn",), ("next",))


def test_the_loop_goes_on_while_a_step_blocks() -> None:
    steps, gate = Steps(), threading.Event()
    steps.add("blocks", lambda: gate.wait(FOREVER), blocking=True)

    async def main() -> CleanupReport:
        running = asyncio.ensure_future(steps.manager.run_async())
        while not steps.begun:
            await asyncio.sleep(0)
        gate.set()
        return await running

    assert asyncio.run(main()).done == ("blocks",)


def test_a_cancellation_is_raised_when_all_steps_were_begun() -> None:
    steps = Steps()

    async def main() -> None:
        task = asyncio.ensure_future(steps.manager.run_async())
        while not steps.begun:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    steps.add_async("waits", lambda: asyncio.sleep(FOREVER))
    steps.add("next")
    asyncio.run(main())
    assert steps.begun == ["waits", "next"]
    assert steps.manager.last_report is not None
    assert steps.manager.last_report.done == ("next",)
    assert [name for name, _ in steps.manager.last_report.failed] == ["waits"]


# -- channels ----------------------------------------------------------------------------------------------------------


def test_a_channel_takes_down_what_has_to_go_before_and_nothing_else() -> None:
    steps = Steps()
    steps.add("close store", channel="store", after=("stop orders",))
    steps.add("stop orders", fails, channel="orders")
    steps.add("stop mail", channel="mail")
    assert [step.name for step in steps.manager.steps("store")] == ["stop orders", "close store"]
    report = steps.run(channel="store")
    assert (report.done, report.failed[0][0]) == (("close store",), "stop orders")
    assert steps.run().done == ("stop mail",)
    assert steps.begun == ["stop orders", "close store", "stop mail"]


def test_what_nobody_declared_is_told_and_the_step_is_run() -> None:
    steps = Steps()
    steps.add("close", after=("stop wokers",))
    report = steps.run()
    assert report.done == ("close",)
    assert report.failed == (("close", "comes after 'stop wokers', which nobody declared"),)
    steps.add("verify", after=("close",))
    assert steps.run().failed == (), "that one is over"


def test_what_is_gone_is_taken_out_again() -> None:
    steps = Steps()
    steps.add("request")
    steps.add("other", lambda: steps.manager.discard("other"))
    assert steps.manager.discard("request")
    assert not steps.manager.discard("request")
    assert steps.run().done == ("other",)
    assert steps.begun == ["other"]


def test_a_step_may_declare_others_and_they_are_run() -> None:
    steps = Steps()
    steps.add("first", lambda: steps.add("second", lambda: steps.add("third", phase="verify"), phase="stop-intake"))
    assert steps.run().done == ("first", "second", "third")


def test_steps_that_never_stop_declaring_steps_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "_MOST_PLANS", 20)
    steps = Steps()

    def again() -> None:
        steps.add(f"step {len(steps.begun)}", again)

    again()
    report = steps.run()
    assert len(report.done) == 20
    assert report.failed == (("", "steps went on declaring steps, 20 times by now: the rest was not begun"),)


def test_two_runs_at_once_run_each_step_once_and_wait_for_one_another() -> None:
    steps, inside, gate = Steps(), threading.Event(), threading.Event()

    def waits() -> None:
        inside.set()
        assert gate.wait(FOREVER)

    steps.add("stop orders", waits, channel="orders")
    steps.add("close store", channel="store", after=("stop orders",))
    reports: list[CleanupReport] = []
    first = threading.Thread(target=lambda: reports.append(steps.run(channel="orders")))
    first.start()
    assert inside.wait(FOREVER)
    second = threading.Thread(target=lambda: reports.append(steps.run()))
    second.start()
    assert steps.begun == ["stop orders"], "the store is closed after that"
    gate.set()
    first.join()
    second.join()
    assert steps.begun == ["stop orders", "close store"]
    assert sorted(report.done for report in reports) == [("close store",), ("stop orders",)]


@ways
def test_what_another_run_has_begun_is_waited_for_until_the_deadline(way: str) -> None:
    steps, inside, gate = Steps(), threading.Event(), threading.Event()

    def waits() -> None:
        inside.set()
        assert gate.wait(FOREVER)

    steps.add("stuck", waits)
    steps.add("after", after=("stuck",))
    first = threading.Thread(target=steps.run)
    first.start()
    assert inside.wait(FOREVER)
    assert steps.run(way, deadline=0.0).done == ("after",)
    gate.set()
    first.join()
    assert steps.begun == ["stuck", "after"]


@pytest.mark.slow
def test_a_storm_of_runs_begins_each_step_once_in_order() -> None:
    chosen = random.Random(1)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(60):
            steps = Steps()
            names = [f"s{number}" for number in range(30)]
            after = {name: tuple(chosen.sample(names[:at], min(at, 2))) for at, name in enumerate(names)}
            for name in names:
                do = fails if chosen.random() < 0.2 else None
                steps.add(name, do, after=after[name], channel=chosen.choice("abc"), blocking=chosen.random() < 0.2)
            threads = [threading.Thread(target=steps.run, kwargs={"channel": each}) for each in ("a", "b", "c", None)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(steps.begun) == sorted(names)
            at = {name: place for place, name in enumerate(steps.begun)}
            assert all(at[before] < at[name] for name in names for before in after[name])
    finally:
        sys.setswitchinterval(interval)


def test_a_step_that_asks_for_the_cleanup_gets_an_empty_report() -> None:
    steps, reports = Steps(), list[CleanupReport]()
    steps.add("asks", lambda: reports.append(steps.run()))
    steps.add("asks on a thread", lambda: reports.append(steps.run()), blocking=True)
    steps.add("last")
    assert steps.run().done == ("asks", "asks on a thread", "last")
    assert [report.done for report in reports] == [(), ()]


def test_what_a_step_leaves_running_may_clean_up_later() -> None:
    steps, later = Steps(), list[Any]()

    async def afterwards() -> CleanupReport:
        await asyncio.sleep(0)
        return await steps.manager.run_async()

    async def main() -> None:
        await steps.manager.run_async()
        steps.add("second")
        assert (await later[0]).done == ("second",)

    steps.add("leaves a task", lambda: later.append(asyncio.ensure_future(afterwards())))
    asyncio.run(main())


# -- interruptions -----------------------------------------------------------------------------------------------------


def test_an_interruption_ends_the_step_that_runs_and_not_the_cleanup() -> None:
    steps = Steps()
    steps.add("interrupted", interrupt)
    steps.add("exits", lambda: sys.exit(3))
    steps.add("last")
    with pytest.raises(KeyboardInterrupt):
        steps.run()
    report = steps.manager.last_report
    assert report is not None
    assert (report.done, [name for name, _ in report.failed]) == (("last",), ["interrupted", "exits"])


@NOT_TRACED
@pytest.mark.skipif(sys.version_info < (3, 11), reason="a with statement of 3.10 may be interrupted before its block")
@pytest.mark.parametrize("how", ["raises", "runs"])
def test_whatever_comes_in_at_any_place_every_step_is_begun_once(how: str) -> None:
    at, there_are_more = 0, True
    while there_are_more:
        at += 1
        steps = Steps()
        steps.add("first", blocking=at % 2 == 0)
        steps.add("fails", fails, phase="flush")
        steps.add("last", after=("first",))
        hit = interrupt if how == "raises" else untraced(steps.run)
        hitting = Hitting({manager_module.__file__}, at, hit, same_handler=True)
        there_are_more = hitting.watching(steps.run)
        steps.run()  # for what came in before it had begun, or when it was over
        assert sorted(steps.begun) == ["fails", "first", "last"], hitting.where
        assert steps.begun.index("first") < steps.begun.index("last"), hitting.where
        assert steps.manager.steps() == (), hitting.where
        assert not any(run.goes_on for run in manager_module._inside.get()), hitting.where
    assert at > 40


def test_what_was_run_is_kept_by_nobody() -> None:
    class Thing:
        def close(self) -> None:
            raise ValueError("no")

    steps, thing = CleanupManager(), Thing()
    gone = weakref.ref(thing)
    steps.add(CleanupStep("close"), thing.close)
    report = steps.run()
    del thing
    gc.collect()
    assert gone() is None
    assert report.failed == (("close", "ValueError: no"),)


# -- the end of a process ----------------------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys, threading, time
from coresys.cleanup.manager import CleanupManager
from coresys.system_records import CleanupStep

cleanup = CleanupManager()
lock = threading.Lock()

def close():
    assert lock.acquire(timeout=5)
    print("closed", flush=True)

cleanup.add(CleanupStep("close", blocking=True), close)
cleanup.add(CleanupStep("hang", phase="verify", deadline=0.05), threading.Event().wait)
"""


def ends(program: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM + program], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_at_exit_it_runs_and_a_thread_that_hangs_keeps_nobody() -> None:
    assert ends("cleanup.at_exit(deadline=5)") == (0, "closed\n", "")


def test_what_was_run_before_is_not_run_at_exit_and_it_can_be_taken_back() -> None:
    assert ends("cleanup.at_exit()\ncleanup.run()\nprint('over')") == (0, "closed\nover\n", "")
    assert ends("undo = cleanup.at_exit()\nundo()\nprint('over')") == (0, "over\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_takes_nothing_of_its_parents_down() -> None:
    program = """
cleanup.at_exit()
pid = os.fork()
if pid:
    assert os.waitpid(pid, 0)[1] == 0
    print("child is over", flush=True)
"""
    assert ends(program) == (0, "child is over\nclosed\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_ends_the_main_thread_with_its_blocks_and_the_cleanup_runs_once() -> None:
    program = """
cleanup.exit_on()
cleanup.at_exit()
cleanup.add(CleanupStep("again", phase="flush"), lambda: os.kill(os.getpid(), signal.SIGTERM))
with lock:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
"""
    assert ends(program) == (143, "closed\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    undo = CleanupManager().exit_on(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is not before
    undo()
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_says_what_it_is() -> None:
    steps = Steps()
    steps.add("a")
    assert repr(steps.manager) == "<CleanupManager: 1 steps to be run>"
    with pytest.raises(CleanupOrderError):
        steps.add("a")


def test_one_that_has_to_run_here_is_not_called_late_for_the_time_that_others_took() -> None:
    clock = FakeClock()
    cleanup = CleanupManager(now=clock.now)
    cleanup.add(CleanupStep("slow", here=True, deadline=5.0), lambda: clock.advance(2.0))
    cleanup.add(CleanupStep("mine", here=True), lambda: clock.advance(0.5))
    cleanup.add(CleanupStep("bounded", here=True, deadline=0.1), lambda: clock.advance(0.5))
    report = cleanup.run(deadline=1.0)
    assert report.done == ("slow", "mine", "bounded")
    assert [step for step, _ in report.failed] == ["slow", "bounded"]
