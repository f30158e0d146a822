"""What IThreadManager promises."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from concurrent.futures import wait as wait_for
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from conforming import WAIT, at_once

from coresys.interfaces import IThreadManager

ROLE = "threads"
_MOST = 64  # threads, of a manager that is asked
_SOON = 0.1  # seconds, in which a task begins if there is a thread for it
MINE: ContextVar[str] = ContextVar("mine", default="nobody's")


def _set_soon(event: threading.Event) -> bool:
    """Whether it is set in the time that threads of ours take, on a machine as busy as this one, to get their turn."""
    for _ in range(5):
        yardstick = threading.Thread(target=event.wait, args=(_SOON / 5,))
        yardstick.start()
        yardstick.join()
        if event.is_set():
            return True
    return False


class Held:
    """As many tasks as there are threads for, and one more; they run until they are let go."""

    def __init__(self, threads: IThreadManager, priority: str = "processing") -> None:
        self._threads, self._priority = threads, priority
        self._gate = threading.Event()
        self.futures: list[Future[bool]] = []

    def __enter__(self) -> Held:
        for _ in range(_MOST):
            begun = threading.Event()
            self.futures.append(self._threads.submit_with(partial(self._run, begun), priority=self._priority))
            if not _set_soon(begun):
                return self
        self.let_go()
        pytest.fail(f"{_MOST} tasks at once, and no end: this is for managers that are bounded")

    def _run(self, begun: threading.Event) -> bool:
        begun.set()
        return self._gate.wait(WAIT)

    def let_go(self) -> None:
        self._gate.set()

    def __exit__(self, *exc: object) -> None:
        self.let_go()
        for future in self.futures:
            if not future.cancelled():
                future.exception(WAIT)


def test_a_task_is_run_and_its_result_told(one: IThreadManager) -> None:
    assert one.submit(pow, 2, 5).result(WAIT) == 32
    assert one.submit(int, "ff", base=16).result(WAIT) == 255
    assert one.submit_with(threading.get_ident).result(WAIT) != threading.get_ident()


def test_what_a_task_raises_is_told(one: IThreadManager) -> None:
    error = OSError("gone")

    def fails() -> None:
        raise error

    assert one.submit(fails).exception(WAIT) is error
    with pytest.raises(OSError, match="gone"):
        one.submit_with(fails, priority="system", channel="c").result(WAIT)
    assert one.submit_with(lambda: "goes on", channel="c").result(WAIT) == "goes on"


def test_each_priority_is_run_and_no_other_is_known(one: IThreadManager) -> None:
    for priority in ("system", "processing", "monitoring"):
        assert one.submit_with(lambda: "done", priority=priority).result(WAIT) == "done"
    before = one.statistics().submitted
    with pytest.raises(ValueError, match="priority"):
        one.submit_with(str, priority="urgent")
    assert one.statistics().submitted == before


def test_tasks_of_a_channel_run_in_their_order_and_never_two_at_once(one: IThreadManager) -> None:
    made: list[int] = []
    inside, most = [0], [0]

    def work(number: int) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        made.append(number)
        inside[0] -= 1

    gate = threading.Event()
    try:
        first = one.submit_with(lambda: gate.wait(WAIT), channel="c")
        futures = [one.submit_with(partial(work, number), channel="c") for number in range(60)]
        wait_for(futures[-1:], timeout=_SOON)
        assert made == [], "the first has not ended"
    finally:
        gate.set()
    assert first.result(WAIT)
    for future in futures:
        future.result(WAIT)
    assert made == list(range(60))
    assert most == [1]


def test_one_channel_does_not_wait_for_another(one: IThreadManager) -> None:
    gate = threading.Event()
    try:
        held = one.submit_with(lambda: gate.wait(WAIT), channel="c")
        assert one.submit_with(lambda: "goes on", channel="d").result(WAIT) == "goes on"
        queued = one.submit_with(str, channel="c")
        assert not queued.done()
    finally:
        gate.set()
    assert held.result(WAIT)
    assert queued.result(WAIT) == ""


def test_there_are_never_more_workers_than_stated(one: IThreadManager) -> None:
    begun: list[int] = []
    with Held(one, "system") as held:
        workers = one.statistics().workers
        assert 1 <= workers <= len(held.futures)
        others = [
            one.submit_with(partial(begun.append, number), priority=priority)
            for number in range(10)
            for priority in ("system", "processing", "monitoring")
        ]
        held.futures[-1].cancel()
        assert not threading.Event().wait(0.01)
        assert begun == []
        assert one.statistics().workers == workers
    for task in others:
        task.result(WAIT)
    assert one.statistics().most_workers <= workers


def test_context_variables_are_those_of_whoever_submits(one: IThreadManager) -> None:
    token = MINE.set("the submitter's")
    try:
        plain, in_channel = one.submit(MINE.get), one.submit_with(MINE.get, channel="c")
        changed = one.submit(MINE.set, "the task's")
    finally:
        MINE.reset(token)
    assert [plain.result(WAIT), in_channel.result(WAIT)] == ["the submitter's"] * 2
    changed.result(WAIT)
    assert one.submit(MINE.get).result(WAIT) == "nobody's"


def test_a_task_that_another_waits_for_is_run_though_all_threads_are_busy(one: IThreadManager) -> None:
    def outer(depth: int) -> int:
        return depth if depth == 0 else one.submit(outer, depth - 1).result(WAIT) + 1

    tasks = [one.submit(outer, 3) for _ in range(_MOST)]
    assert [task.result(WAIT) for task in tasks] == [3] * len(tasks)


def test_a_task_that_has_not_begun_can_be_cancelled(one: IThreadManager) -> None:
    ran: list[str] = []
    with Held(one):
        waiting = one.submit(ran.append, "cancelled")
        assert sum(one.statistics().queued) >= 1
        assert waiting.cancel()
    with pytest.raises(CancelledError):
        waiting.result(WAIT)
    one.submit(ran.append, "run").result(WAIT)
    assert ran == ["run"]


def test_the_figures_say_what_became_of_tasks(one: IThreadManager) -> None:
    before = one.statistics()
    with Held(one) as held:
        assert one.statistics().busy >= 1
        waiting = one.submit(str)
        waiting.cancel()
    one.submit(pow, 2, 5).result(WAIT)
    one.submit(pow, 2, "no").exception(WAIT)
    after = one.statistics()
    assert after == one.statistics(), "to read it disturbs nobody"
    assert after.submitted - before.submitted == len(held.futures) + 3
    assert after.completed - before.completed == len(held.futures) + 2
    assert (after.failed - before.failed, after.cancelled - before.cancelled) == (1, 1)
    assert (after.busy, after.queued) == (0, (0, 0, 0))


def test_the_threads_are_those_of_the_process(one: IThreadManager) -> None:
    task = one.submit(threading.get_ident).result(WAIT)
    known = {thread.ident for thread in one.threads()}
    assert {threading.get_ident(), task} <= known
    names = [lock.name for lock in one.locks()]
    assert names == [lock.name for lock in one.locks()], "to read it disturbs nobody"


def test_a_shutdown_refuses_what_comes_and_waits_for_what_was_taken(one: IThreadManager) -> None:
    done: list[int] = []
    with Held(one) as held:
        queued = [one.submit(done.append, number) for number in range(3)]
        closer = threading.Thread(target=one.shutdown)
        closer.start()
        closer.join(0.02)
        assert closer.is_alive(), "it waits for what has not ended"
        held.let_go()
        closer.join(WAIT)
        assert not closer.is_alive()
        assert all(task.done() for task in held.futures)
        assert all(task.done() for task in queued)
    assert sorted(done) == [0, 1, 2]
    for submit in (one.submit, one.submit_with):
        with pytest.raises(RuntimeError):
            submit(str)
    one.shutdown()
    one.shutdown(wait=False, cancel_futures=True)


def test_a_shutdown_may_cancel_what_has_not_begun(one: IThreadManager) -> None:
    with Held(one) as held:
        ran: list[str] = []
        waiting = [one.submit(ran.append, "no") for _ in range(3)]
        one.shutdown(wait=False, cancel_futures=True)
        assert all(task.cancelled() for task in waiting)
        with pytest.raises(RuntimeError):
            one.submit(str)
    one.shutdown()
    assert ran == []
    assert all(task.cancelled() or task.result(WAIT) for task in held.futures)


def test_a_task_may_shut_down_what_it_runs_on(one: IThreadManager) -> None:
    assert one.submit(lambda: (one.shutdown(), "down")[1]).result(WAIT) == "down"  # type: ignore[func-returns-value]


def test_many_threads_may_submit_and_shut_down_at_once_and_no_task_is_lost(one: IThreadManager) -> None:
    taken: list[Future[Any]] = []
    refused: list[int] = []
    before = one.statistics()

    def submit() -> None:
        for number in range(20):
            try:
                taken.append(one.submit(str, number))
            except RuntimeError:
                refused.append(number)

    at_once(submit, submit, submit, submit, one.shutdown, one.shutdown)
    assert len(taken) + len(refused) == 80
    assert all(task.done() for task in taken), "taken, and not waited for"
    after = one.statistics()
    assert after.submitted - before.submitted == after.completed - before.completed == len(taken)


def test_two_never_meet(one: IThreadManager, other: IThreadManager) -> None:
    gate, begun = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return gate.wait(WAIT)

    before = one.statistics().submitted
    held = other.submit_with(wait, channel="c")
    begun.wait(WAIT)
    try:
        assert one.submit_with(lambda: "goes on", channel="c").result(WAIT) == "goes on"
        one.shutdown(cancel_futures=True)
        assert not held.done()
        assert one.statistics().submitted - before == 1
        assert other.submit(pow, 2, 5).result(WAIT) == 32
    finally:
        gate.set()
    assert held.result(WAIT)
