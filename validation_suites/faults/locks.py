"""Systems whose locks have one fault each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coresys.threads import OrderedLock
from validation_suites import ours
from validation_suites.faults.faulty import Faulty
from validation_suites.locks.measures import Holds


@contextmanager
def system_without_an_order(ranks: tuple[str, ...]) -> Iterator[Any]:
    """a system whose locks have no order"""
    with ours.system(ranks=ranks) as system:
        threads = Faulty(system.threads, lock=lambda rank, *, name="": OrderedLock(name=name or rank))
        yield Faulty(system, threads=threads)


@contextmanager
def system_that_locks_outwards(ranks: tuple[str, ...]) -> Iterator[Any]:
    """a coordinator that takes an outer lock while it is called under inner ones"""
    with ours.system(ranks=ranks) as system:
        outermost = system.threads.lock(ranks[0], name="of the coordinator")
        both = system.coordinators

        def observe() -> None:
            with outermost:
                both.monitoring.observe()

        monitoring = Faulty(both.monitoring, observe=observe)
        yield Faulty(system, coordinators=Faulty(both, monitoring=monitoring))


def holds_of_a_sleeper() -> list[Holds]:
    """a lock that is held while its thread sleeps"""
    seconds = []
    for _ in range(100):
        began = time.perf_counter()
        time.sleep(0.002)
        seconds.append(time.perf_counter() - began)
    return [Holds("raw", 100, (1e-6,) * 100), Holds("quick", 100, (2e-6,) * 100), Holds("sleeper", 100, tuple(seconds))]


RAW_LOCKS = """
import _thread
import threading as t
from threading import Lock as Mutex, Event

class Coordinator:
    def __init__(self):
        self.a, self.b, self.c, self.d = Mutex(), t.RLock(), _thread.allocate_lock(), Event()
"""
"""A coordinator with three raw locks, as text."""
