"""How the suites run what they measure: several at once, and foreign subjects whose errors are findings, not ours."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import Any

from pytest_coresys.criteria.recorder import CriteriaRecorder

WAIT = 15.0  # seconds, a watchdog: nobody waits that long unless something hangs
SHOWN = 5  # faults that a detail names


def in_words(error: BaseException) -> str:
    """An error on one line, whatever its own text does."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "(its text cannot be had)"
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


@contextmanager
def switching(seconds: float = 1e-5) -> Iterator[None]:
    """Threads take turns this often, so that what needs a lock and has none is seen."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(calls: Sequence[Callable[[], object]]) -> list[str]:
    """Make the calls in a thread each, which begin together and change places often; what went wrong, in words."""
    together = threading.Barrier(len(calls))
    wrong: list[str] = []

    def run(call: Callable[[], object]) -> None:
        try:
            together.wait(WAIT)
            call()
        except Exception as error:
            wrong.append(in_words(error))

    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    with switching():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
    return wrong + ["a thread did not end"] * sum(thread.is_alive() for thread in threads)


_MOST_TIMES = 200


def as_long_as(operation: Callable[[], float], beside: Callable[[], object]) -> Callable[[], object]:
    """A reference that takes about as long as what it stands beside: ``beside``, several times.

    Of two that take as long the machine stops both as often. One that is over in no time tells nothing of a machine
    that takes the processor away every few milliseconds.
    """
    own = median(operation() for _ in range(15))
    least = median(_seconds(beside) for _ in range(15))
    times = max(1, min(round(own / max(least, 1e-8)), _MOST_TIMES))

    def reference() -> None:
        for _ in range(times):
            beside()

    reference.__name__ = f"{times} times {getattr(beside, '__name__', 'the reference')}"
    return reference


def _seconds(call: Callable[[], object]) -> float:
    began = perf_counter()
    call()
    return perf_counter() - began


def attempt(faults: list[str], what: str, call: Callable[[], Any]) -> Any:
    """What a call returns; None, and a fault more, where it raises."""
    try:
        return call()
    except Exception as error:
        faults.append(f"{what} raised {in_words(error)}")
        return None


def record_faults(criteria: CriteriaRecorder, identity: str, faults: Sequence[str]) -> None:
    """Faults that were found, for a criterion that counts them, or one that says whether there are any."""
    words = "; ".join(faults[:SHOWN])
    if criteria.criterion(identity).statistic == "check":
        criteria.check(identity, not faults, words)
    else:
        criteria.record(identity, len(faults), words)


class Judging:
    """``with Judging(criteria, id, ...):`` what a subject raises within is a fault of it, and no error of the suite.

    Where a fault can be counted it is one; what is timed was not measured then.
    """

    def __init__(self, criteria: CriteriaRecorder, *identities: str) -> None:
        self._criteria, self._identities = criteria, identities

    def __enter__(self) -> None:
        """Nothing is done."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        for identity in self._identities:
            if self._criteria.criterion(identity).statistic in ("check", "total"):
                self._criteria.check(identity, False, f"the subject raised {in_words(error)}")
            else:
                self._criteria.unmeasured(identity, f"the subject raised {in_words(error)}")
        return True
