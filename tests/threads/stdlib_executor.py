"""Runs CPython's own executor tests against ThreadPool, in a process of its own: ``python stdlib_executor.py FILE``.

The tests are those of the interpreter that runs this (its ``test`` package, where it has one), with our pool in the
place of ThreadPoolExecutor. Writes JSON to FILE: what ran, what was left out and why, and what failed.
"""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.thread
import importlib
import io
import json
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from coresys.threads import ThreadPool

MODULES = (
    "test.test_concurrent_futures",  # one file until 3.11, a package since
    "test.test_concurrent_futures.test_as_completed",
    "test.test_concurrent_futures.test_future",
    "test.test_concurrent_futures.test_init",
    "test.test_concurrent_futures.test_shutdown",
    "test.test_concurrent_futures.test_thread_pool",
    "test.test_concurrent_futures.test_wait",
)
# Each by name, and why it says nothing of ours.
LEFT_OUT = {
    "test_thread_names_default": "asks for the name of the standard library's class",
    "test_free_reference_yielded_future": "of plain futures, checked there",
    "test_executor_map_current_future_cancel": "starts a process whose source names ThreadPoolExecutor",
    "test_python_finalization_error": "replaces _thread's functions under ThreadPoolExecutor's name",
    "test_hang_global_shutdown_lock": "starts a process whose source names ThreadPoolExecutor",
    "test_idle_thread_reuse": "looks into _idle_semaphore and counts threads by its rule",
    "test_interpreter_shutdown": "starts a process whose source names ThreadPoolExecutor; ours: test_pool_shutdown",
    "test_submit_after_interpreter_shutdown": "as above",
    "test_hang_gh83386": "as above",
    "test_run_after_shutdown": "looks into the standard library's module",
    "test_default_workers": "the default is another one here",
}


class Pool(ThreadPool):
    """All workers for whatever comes, as those tests expect it."""

    def __init__(self, max_workers: int | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(max_workers, *args, reserved=0, **kwargs)

    @property
    def _broken(self) -> bool:  # what the tests look at
        return self._scheduler.broken


def cases(suite: Any) -> Iterator[unittest.TestCase]:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from cases(each)
        else:
            yield each


def main() -> dict[str, Any]:
    concurrent.futures.ThreadPoolExecutor = Pool  # type: ignore[assignment,misc]  # what the tests look up
    concurrent.futures.thread.ThreadPoolExecutor = Pool  # type: ignore[assignment,misc]
    suite, left_out = unittest.TestSuite(), []
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        for holder in (module, sys.modules.get("test.test_concurrent_futures.util")):
            if holder is not None and hasattr(holder, "ThreadPoolMixin"):
                holder.ThreadPoolMixin.executor_type = Pool
        for case in cases(unittest.defaultTestLoader.loadTestsFromModule(module)):
            kind, method = type(case).__name__, case.id().rpartition(".")[2]
            if not kind.startswith("ThreadPool"):
                continue
            if method in LEFT_OUT:
                left_out.append(method)
            else:
                suite.addTest(case)
    told = io.StringIO()
    result = unittest.TextTestRunner(stream=told, verbosity=2).run(suite)
    broken = [*result.failures, *result.errors]
    print(told.getvalue())
    return {
        "python": sys.version.split()[0],
        "ran": result.testsRun,
        "skipped": [str(case) for case, _ in result.skipped],
        "left_out": sorted(set(left_out)),
        "failed": [f"{case}\n{text}" for case, text in broken],
    }


if __name__ == "__main__":
    found = main()
    Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")
