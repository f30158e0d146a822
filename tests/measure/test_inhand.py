"""What threads work on, by identity."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from coresys.measure.attribution import attribute
from coresys.measure.inhand import in_hand

HERE = __file__
PENDING: list[object] = []
OTHERS: list[object] = []
STOP = threading.Event()


def flush() -> None:
    while not STOP.wait(60):
        _send()


def _send() -> None:
    PENDING.clear()


class Sender:
    def __init__(self) -> None:
        self.outbox: dict[int, object] = {}
        self.jobs: queue.SimpleQueue[object] = queue.SimpleQueue()

    def work(self) -> None:
        while self.jobs.get() is not None:
            self.outbox.clear()


class OwnThread(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="own")
        self.rows: list[object] = []

    def run(self) -> None:
        STOP.wait(60)


@contextmanager
def running(thread: threading.Thread, end: Callable[[], Any]) -> Iterator[threading.Thread]:
    thread.start()
    try:
        yield thread
    finally:
        end()
        thread.join()
        STOP.clear()


def test_globals_of_its_functions_and_of_those_that_they_call() -> None:
    with running(threading.Thread(target=flush, name="flusher"), STOP.set) as thread:
        found = in_hand([thread])
    assert found[id(PENDING)] == "flusher"
    assert id(OTHERS) not in found


def test_what_its_object_has() -> None:
    sender = Sender()
    with running(threading.Thread(target=sender.work), lambda: sender.jobs.put(None)) as thread:
        assert {id(sender), id(sender.outbox), id(sender.jobs)} <= in_hand([thread]).keys()


def test_what_a_thread_of_a_class_of_its_own_has() -> None:
    own = OwnThread()
    with running(own, STOP.set):
        assert in_hand([own])[id(own.rows)] == "own"


def test_a_queue_that_a_listener_empties_and_no_other_loggers_handlers() -> None:
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    logger = logging.getLogger("coresys.test_inhand")
    handler = logging.StreamHandler()
    listener = logging.handlers.QueueListener(records, handler)
    listener.log = logger  # type: ignore[attr-defined]  # as people keep one
    listener.start()
    try:
        found = in_hand([each for each in threading.enumerate() if each is not threading.main_thread()])
    finally:
        listener.stop()
    assert id(records) in found
    assert id(logging.root.handlers) not in found


def test_one_that_was_never_started_works_on_nothing() -> None:
    assert in_hand([threading.Thread(target=flush)]) == {}


@pytest.mark.parametrize(("kept", "works"), [(PENDING, True), (OTHERS, False)])
def test_what_grows_in_other_hands_may_end(kept: list[object], works: bool) -> None:
    with running(threading.Thread(target=flush, name="flusher"), STOP.set) as thread:
        found = attribute(lambda: kept.append([None] * 50), is_user=lambda path: path == HERE, absent=[thread])
    kept.clear()
    assert found.holders
    assert (found.absent == "thread 'flusher'") is works
    assert ("does not run in a repetition" in (found.may_end or "")) is works
