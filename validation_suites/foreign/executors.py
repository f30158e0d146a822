"""Threads: the ThreadPoolExecutor of the standard library.

It has no priorities, no channels, no context variables for its tasks, no locks and no figures: what is told of it is
what its own attributes say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from coresys.system_records import LockStatistics, ThreadPoolStatistics, ThreadRecord

if TYPE_CHECKING:
    from coresys.interfaces import IThreadManager

T = TypeVar("T")


class ExecutorThreads:
    """A ThreadPoolExecutor."""

    def __init__(self, workers: int) -> None:
        self._executor: Any = ThreadPoolExecutor(workers, thread_name_prefix="foreign")

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """The executor's."""
        submitted: Future[T] = self._executor.submit(function, *args, **kwargs)
        return submitted

    def submit_with(
        self, function: Callable[[], T], *, priority: str = "processing", channel: str | None = None
    ) -> Future[T]:
        """The same: it knows neither priorities nor channels."""
        return self.submit(function)

    def statistics(self) -> ThreadPoolStatistics:
        """Its threads, and the length of its queue; nothing is counted."""
        workers, queued = len(self._executor._threads), self._executor._work_queue.qsize()
        return ThreadPoolStatistics(workers, workers, 0, (0, queued, 0), 0, 0, 0, 0)

    def threads(self) -> tuple[ThreadRecord, ...]:
        """Those that ``threading`` knows; of none is it known what it costs."""
        return tuple(ThreadRecord(each.name, each.ident, each.native_id, each.daemon) for each in threading.enumerate())

    def locks(self) -> tuple[LockStatistics, ...]:
        """It makes none."""
        return ()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """The executor's."""
        self._executor.shutdown(wait, cancel_futures=cancel_futures)


def make(workers: int = 20) -> ExecutorThreads:
    """The subject."""
    return ExecutorThreads(workers)


if TYPE_CHECKING:
    _check: type[IThreadManager] = ExecutorThreads
