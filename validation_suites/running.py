"""How the suites run what they measure: in threads that begin together, or meanwhile, and change places often."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from statistics import median
from time import monotonic, perf_counter, sleep
from typing import Any

from coresys.errors.hierarchy import CoreSysError

PATIENCE = 15.0
"""Seconds. What should come at once has come by then, on whatever machine."""

WATCHDOG = 60.0
"""Seconds. No storm lasts as long, unless it hangs."""


def in_words(error: BaseException) -> str:
    """An error on one line, whatever its own text does."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "(its text cannot be had)"
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


class CannotBeNamed(Exception):
    """A factory that another process cannot find by a name."""


def name_of(factory: Callable[..., Any]) -> str:
    """``MODULE:FACTORY``, by which another process finds it. Raises CannotBeNamed."""
    from pytest_coresys.subjects import load_factory

    name = f"{getattr(factory, '__module__', '')}:{getattr(factory, '__qualname__', '')}"
    try:
        found = None if "__main__" in name or "<" in name else load_factory("subject", name)
    except CoreSysError:
        found = None
    if found != factory:
        raise CannotBeNamed(f"{name.strip(':') or repr(factory)}: another process could not find it by that name")
    return name


def environment() -> dict[str, str]:
    """That of another process which is to find the modules that this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextmanager
def switching(seconds: float = 1e-6) -> Iterator[None]:
    """Threads take turns this often, by default as often as the interpreter can: what needs a lock and has none is seen
    then."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Runner(threading.Thread):
    """A thread that keeps what its function returned or raised. A daemon: one that hangs must not keep the run."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._function: Callable[[], Any] | None = function
        self.value: Any = None
        self.problem: str | None = None
        self.start()

    def run(self) -> None:
        function, self._function = self._function, None
        try:
            assert function is not None
            self.value = function()
        except BaseException as error:  # told, whatever it is: the subject is a stranger's
            self.problem = in_words(error)


def at_once(calls: Iterable[Callable[[], object]], patience: float = WATCHDOG, every: float | None = 1e-6) -> list[str]:
    """Make calls in a thread each, which begin together and take turns ``every`` so many seconds (None: as usual); what
    they raised, and how many of them hang, in words."""
    several = list(calls)
    together = threading.Barrier(len(several))

    def begin(call: Callable[[], object]) -> None:
        together.wait(patience)
        call()

    with nullcontext() if every is None else switching(every):
        runners = [Runner(lambda call=call: begin(call)) for call in several]  # type: ignore[misc]
        deadline = monotonic() + patience
        for runner in runners:
            runner.join(max(deadline - monotonic(), 0.0))
    hanging = sum(runner.is_alive() for runner in runners)
    return [
        *(runner.problem for runner in runners if runner.problem is not None),
        *([f"{hanging} of {len(several)} threads hang"] if hanging else []),
    ]


@contextmanager
def meanwhile(calls: Iterable[Callable[[], object]], breath: float | None = None) -> Iterator[None]:
    """Threads that make a call each again and again meanwhile, with a breath of so many seconds between.

    One that raises makes no more: whoever is timed beside it sees that too, or it is measured elsewhere."""
    done = threading.Event()

    def again_and_again(call: Callable[[], object]) -> None:
        while not done.is_set():
            call()
            if breath is not None:
                sleep(breath)

    runners = [Runner(lambda call=call: again_and_again(call)) for call in calls]  # type: ignore[misc]
    try:
        yield
    finally:
        done.set()
        for runner in runners:
            runner.join(WATCHDOG)


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
