"""What threads work on, by identity."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
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
        found = attribute(
            lambda: kept.append([None] * 50), is_user=lambda path: path == HERE, absent=[thread], seconds=60.0
        )
    kept.clear()
    assert found.holders
    assert (found.absent == "thread 'flusher'") is works
    assert ("does not run in a repetition" in (found.may_end or "")) is works


class Rows:
    items: list[object] = []  # noqa: RUF012  # shared on purpose

    @classmethod
    def purge(cls) -> None:
        while not STOP.wait(60):
            cls.drop()

    @staticmethod
    def drop() -> None:
        Rows.items.clear()


class Strange:
    @property  # type: ignore[misc]  # as lazy proxies do
    def __class__(self) -> Any:
        raise RuntimeError("not set up")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_class_methods_and_what_is_named_by_way_of_a_module_or_a_class() -> None:
    with running(threading.Thread(target=Rows.purge), STOP.set) as thread:
        assert id(Rows.items) in in_hand([thread])


def test_no_code_of_theirs_runs() -> None:
    strange = Strange()
    with running(threading.Thread(target=STOP.wait, args=(60,), kwargs={}), STOP.set) as thread:
        thread.strange = strange  # type: ignore[attr-defined]
        assert id(strange) in in_hand([thread])


def test_what_a_thread_only_looks_at_is_emptied_by_nobody(tmp_path: Path) -> None:
    path = tmp_path / "looks.py"
    path.write_text(
        "import threading\nKEPT, STOP = [], threading.Event()\n"
        "def look():\n    while not STOP.wait(60): print(len(KEPT))\n"
        "def put(): KEPT.append([None] * 50)\n",
        encoding="utf-8",
    )
    module = sys.modules["looks"] = types.ModuleType("looks")
    module.__file__ = str(path)
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), vars(module))
        with running(threading.Thread(target=module.look), module.STOP.set) as thread:
            assert id(module.KEPT) in in_hand([thread])
            found = attribute(
                module.put, is_user=lambda path: path.startswith(str(tmp_path)), absent=[thread], seconds=60.0
            )
    finally:
        del sys.modules["looks"]
    assert found.holders
    assert found.absent is None
