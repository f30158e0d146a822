"""Background jobs: a pool of threads, and what went wrong in the jobs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

_last_errors: list[tuple[str, Exception]] = []


class WorkerPool:
    """*size* threads that run jobs; on_result, where given, is called with each result by a thread of its own."""

    def __init__(self, size: int, on_result: Callable[[Any], None] | None = None) -> None:
        self._jobs: queue.Queue[Any] = queue.Queue()
        self._results: queue.Queue[Any] = queue.Queue()
        self._on_result = on_result
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(size)]
        for thread in self._threads:
            thread.start()
        if on_result is not None:
            threading.Thread(target=self._collect, name="collector", daemon=True).start()

    def submit(self, job: Callable[..., Any], *args: Any) -> None:
        self._jobs.put((job, args))

    def stop(self) -> None:
        """Finish what was submitted, and stop."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._results.join()

    def _work(self) -> None:
        while (work := self._jobs.get()) is not None:
            job, args = work
            result = job(*args)
            if self._on_result is not None:
                self._results.put(result)

    def _collect(self) -> None:
        while True:
            result = self._results.get()
            if self._on_result is not None:
                self._on_result(result)
            self._results.task_done()


def run_job(name: str, job: Callable[..., Any], *args: Any) -> Any:
    """What the job returns, or None if it failed; last_error() then says why."""
    try:
        return job(*args)
    except Exception as error:
        _last_errors.append((name, error))
        return None


def last_error(name: str) -> str | None:
    for failed, error in reversed(_last_errors):
        if failed == name:
            return f"{type(error).__name__}: {error}"
    return None


def render_preview(width: int, height: int) -> int:
    """Draw the preview of a link, and return its size in bytes."""
    pixels = bytearray(3 * width * height)
    if width > 4 * height:
        raise ValueError("too wide for a preview")
    return len(pixels)
