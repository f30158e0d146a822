"""A process that takes locks in more than one order, under watch: ``python -m validation_suites.locks.inverted``.

It prints what the watch reports of two locks, of three, and of three that are always taken in one order, as JSON; and
the locks that a report has to name.
"""

# ruff: noqa: SIM117  (a line for each lock: reports name lines)

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

from coresys.threads import LockReport, watch


def one_after_the_other(*functions: Callable[[], object]) -> None:
    """In a thread each."""
    for function in functions:
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()


def two() -> None:
    """The second way round is the wrong one, whichever that is."""
    left = threading.Lock()
    right = threading.Lock()

    def one() -> None:
        with left:
            with right:
                pass

    def other() -> None:
        with right:
            with left:
                pass

    one_after_the_other(one, other)


def three() -> None:
    """No two of these are taken both ways round; all of them are in a circle."""
    first = threading.Lock()
    second = threading.Lock()
    third = threading.Lock()

    def one() -> None:
        with first:
            with second:
                pass

    def another() -> None:
        with second:
            with third:
                pass

    def last() -> None:
        with third:
            with first:
                pass

    one_after_the_other(one, another, last)


def innocent() -> None:
    """Always in one order."""
    outer = threading.Lock()
    middle = threading.Lock()
    inner = threading.Lock()

    def one() -> None:
        with outer:
            with middle:
                pass

    def another() -> None:
        with middle:
            with inner:
                pass

    def last() -> None:
        with outer:
            with inner:
                pass

    one_after_the_other(one, another, last)


CASES: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "two": (two, ("left", "right")),
    "three": (three, ("first", "second", "third")),
    "innocent": (innocent, ()),
}
"""Each with the locks that a report of it has to name."""


def main() -> None:
    """One case after the other: nothing can hang, for threads come one after the other too."""
    told: dict[str, Any] = {}
    reports: list[LockReport] = []
    with watch(reports.append, every=3600) as watched:
        for name, (case, locks) in CASES.items():
            case()
            watched.check()
            told[name] = {"locks": locks, "reports": [str(each) for each in reports]}
            reports.clear()
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
