"""In a forked child no lock is held by a thread that it does not have."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from coresys.errors import CircuitBreaker, CircuitBreakers, RestartIntensity, RetryBudget

SUBJECTS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "breaker": (lambda: CircuitBreaker("payments"), lambda breaker: breaker.state and breaker.call(len, "")),
    "breakers": (lambda: CircuitBreakers(CircuitBreaker), lambda breakers: breakers["payments"]),
    "budget": (lambda: RetryBudget(per_second=1, burst=3), lambda budget: budget.take()),
    "intensity": (lambda: RestartIntensity(), lambda intensity: intensity.allow("db")),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("name", SUBJECTS)
def test_a_lock_that_another_thread_held_is_free(name: str) -> None:
    make, use = SUBJECTS[name]
    subject = make()
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with subject._lock:
            held.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            use(subject)
        except BaseException:
            os._exit(1)
        os._exit(7)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    finally:
        leave.set()
        thread.join()
