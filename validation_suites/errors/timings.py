"""What is timed of an error manager: operations that are called again and again, and return their own seconds.

Times are read by ``perf_counter`` as this module has it, so that a test can put a clock in its place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Any

from coresys.system_records import ErrorRecord
from validation_suites.errors.measures import Planted
from validation_suites.running import PATIENCE, meanwhile

if TYPE_CHECKING:
    from coresys.interfaces import IErrorManager, IThreadManager

Timed = Callable[[], float]


class FineClock:
    """The clock of what times, given to a manager that takes one, so that both read the same one."""

    def now(self) -> float:
        """Seconds since some point."""
        return perf_counter()

    def time(self) -> float:
        """The same, in the place of the time of day."""
        return perf_counter()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def busy_thread() -> AbstractContextManager[None]:
    """A thread beside that does nothing but compute."""
    return meanwhile([lambda: sum(range(100))])


def _routed(manager: IErrorManager, receive: Callable[[ErrorRecord], object]) -> None:
    manager.sink("end", receive)
    manager.route("timed", "end")


def _ignore(record: ErrorRecord) -> None:
    """A sink that does nothing."""


def detection(manager: IErrorManager, now: Callable[[], float] | None = None) -> Timed:
    """From just before an error is raised to the time of its record. ``now``: the clock that the manager goes by."""
    _routed(manager, _ignore)
    read = now or time.time

    def fail() -> float:
        began = read()
        try:
            raise Planted("just now")
        except Planted as error:
            record = manager.report(error, component="timed")
        return max(record.time - began, 0.0)

    return fail


def raise_and_catch() -> None:
    """The least that an error takes."""
    try:
        raise Planted("just now")
    except Planted:
        pass


def deep(depth: int, order: int = 7, name: str = "article", lines: tuple[int, ...] = (1, 2, 3)) -> None:
    """Raise so many frames down, with a few variables in each."""
    if depth > 1:
        deep(depth - 1, order, name, lines)
    raise Planted("deep down")


def capture(manager: IErrorManager, depth: int) -> tuple[Timed, Callable[[], object]]:
    """Reporting an error of so many frames; beside it raising and catching one."""
    _routed(manager, _ignore)

    def report() -> float:
        try:
            deep(depth - 1)
        except Planted as error:
            began = perf_counter()
            manager.report(error, component="timed")
            return perf_counter() - began
        raise AssertionError("nothing was raised")

    def raise_and_catch_it() -> None:
        try:
            deep(depth - 1)
        except Planted:
            pass

    return report, raise_and_catch_it


class _Handler:
    """A procedure that notes when it is called, and says to call again."""

    name, acts = "handler", False

    def __init__(self) -> None:
        self.entered = 0.0

    def recover(self, failure: Any) -> float:
        self.entered = perf_counter()
        return 0.0


def recovery_inline(manager: Any) -> Timed:
    """From raising to the first instruction of what recovers: a procedure where there are such, else the sink."""
    handler = _Handler()
    if not callable(getattr(manager, "policies", None)):
        _routed(manager, handler.recover)

        def report() -> float:
            began = perf_counter()
            try:
                raise Planted("just now")
            except Planted as error:
                manager.report(error, component="timed")
            return handler.entered - began

        return report
    _routed(manager, _ignore)
    manager.policies("timed", {Planted: [handler]})

    def call() -> float:
        began: list[float] = []

        def fail_once() -> None:
            if not began:
                began.append(perf_counter())
                raise Planted("just now")

        manager.recovering("timed").call(fail_once)
        return handler.entered - began[0]

    return call


def recovery_by_a_worker(manager: IErrorManager, threads: IThreadManager) -> Timed:
    """The same where the sink hands it to a worker."""
    entered: SimpleQueue[float] = SimpleQueue()
    _routed(manager, lambda record: threads.submit(lambda: entered.put(perf_counter())))

    def report() -> float:
        began = perf_counter()
        try:
            raise Planted("just now")
        except Planted as error:
            manager.report(error, component="timed")
        return entered.get(timeout=PATIENCE) - began

    return report


@contextmanager
def raw_hand_over() -> Iterator[Callable[[], object]]:
    """What handing to a worker is compared with: a queue to a thread that waits, and one back."""
    there: SimpleQueue[bool] = SimpleQueue()
    back: SimpleQueue[float] = SimpleQueue()

    def answer() -> None:
        while there.get():
            back.put(0.0)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()

    def hand_over_by_a_queue() -> None:
        there.put(True)
        back.get(timeout=PATIENCE)

    try:
        yield hand_over_by_a_queue
    finally:
        there.put(False)
        thread.join()
