"""The stack size of the threads that are started here, and of no others."""

from __future__ import annotations

import sys
import threading
from _thread import RLock

from coresys.errors.hierarchy import StackSizeError
from coresys.forks import call_in_children

# Below this, deep recursion (nested JSON, repr, comparisons; 900 Python calls) ends the process instead of raising
# RecursionError; measured, and tested, for 3.10 to 3.13. Smaller stacks save neither memory nor time: only pages that
# were touched count. 3.13 needs more (a __repr__ that calls repr crashed at 640 KiB), and lets C code recurse 10,000
# levels, for which 2 MiB are needed: with 1 MiB, data nested deeper than 4,000 is a risk there.
STACK_FLOOR = (512 if sys.version_info < (3, 13) else 1024) * 1024
STACK_DEFAULT = 1024 * 1024

# threading.stack_size is one setting of the process. Re-entrant: a signal handler may submit while a thread is started.
_starting = RLock()


def check_stack_size(size: int) -> int:
    """The size, in bytes. Raises StackSizeError below the floor."""
    if size < STACK_FLOOR:
        raise StackSizeError(size=size, floor=STACK_FLOOR, problem="too small to be safe from deep recursion")
    return size


def start(thread: threading.Thread, size: int) -> None:
    """Start a thread with a stack of ``size`` bytes; the setting is as it was before afterwards.

    A thread that others start in the same moment may get this size too: the setting is the process's. Raises
    StackSizeError where the platform refuses the size, and RuntimeError where it has no more threads.
    """
    with _starting:
        try:
            before = threading.stack_size(size)
        except (ValueError, RuntimeError) as error:
            raise StackSizeError(size=size, floor=STACK_FLOOR, problem=str(error)) from error
        try:
            thread.start()
        finally:
            threading.stack_size(before)


@call_in_children
def _renew() -> None:
    global _starting
    _starting = RLock()


__all__ = ["STACK_DEFAULT", "STACK_FLOOR", "check_stack_size", "start"]
