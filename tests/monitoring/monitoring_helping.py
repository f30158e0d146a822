"""What the tests of monitoring share: threads joined with a deadline, forked children, and nothing left behind."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from storms import no_threads_left as no_threads_left  # handed on
from storms import stormy as stormy

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 30.0  # seconds: only a deadlock lasts as long

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
with_threads = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no such kernel files here")


def together(*functions: Callable[[], Any]) -> list[Any]:
    """Run functions in threads that begin at one time, and return what each returned; raises what one raised."""
    barrier = threading.Barrier(len(functions))
    answers: list[Any] = [None] * len(functions)
    errors: list[BaseException] = []

    def run(at: int, function: Callable[[], Any]) -> None:
        try:
            barrier.wait(PATIENCE)
            answers[at] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"{thread.name} hangs"
    if errors:
        raise errors[0]
    return answers


def in_a_child(work: Callable[[], object]) -> int:
    """Run it in a forked child; 0 where it returned, -14 where it hung."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
