"""Executors of wider fixtures, in a child: their workers did not come along, and new ones are to take their place.

An executor of a module's or a session's fixture believes that its idle workers are there, and starts no others:
whatever a repetition gives it would wait for ever, and the test could not be judged.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any


def revive_executors(absent: Iterable[threading.Thread]) -> int:
    """Let the executors whose workers are among those threads, which are not in this process, start new ones.

    Returns how many there are. What waited in their queues stays with the process that gave it to them. Where the
    standard library is other than in CPython 3.10 to 3.14, it leaves them as they are.
    """
    found = {id(executor): executor for thread in absent for executor in _works_for(thread)}
    return sum(map(_revive, found.values()))


def _works_for(thread: Any) -> Iterator[Any]:
    """The executor of a worker: it has a weak reference to it among what it was started with."""
    arguments = getattr(thread, "_args", None) or ()
    if getattr(getattr(thread, "_target", None), "__module__", None) == "concurrent.futures.thread" and arguments:
        executor = arguments[0]()
        if type(executor) is ThreadPoolExecutor:
            yield executor


def _revive(executor: Any) -> bool:
    try:
        threads, idle, work = executor._threads, executor._idle_semaphore, executor._work_queue
    except AttributeError:
        return False
    if not isinstance(threads, set) or type(work) is not SimpleQueue:
        return False
    threads.clear()
    executor._idle_semaphore = type(idle)(0)
    executor._work_queue = SimpleQueue()
    return True
