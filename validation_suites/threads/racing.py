"""What measuring of threads stands on: calls at once, threads that change places often, and deadlines that only a
deadlock reaches."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol

PATIENCE = 15.0
"""Seconds. Nothing lasts as long unless it hangs, on whatever machine."""

NEVER = 3600.0
"""Seconds: what did not come at all, where a time is told."""


UNBOUNDED = 1_000_000.0
"""Of a figure that has a bound, where the subject has none, or dies of it."""


class Lock(Protocol):
    """A lock with an owner, as a manager's ``lock(rank)`` makes it. It raises LockOrderError and LockTimeoutError."""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool: ...

    def release(self) -> None: ...

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> object: ...


class MakesLocks(Protocol):
    """What a thread manager has beside its protocol where it makes the locks of a hierarchy, as ours does."""

    def lock(self, rank: str, *, name: str = "") -> Lock: ...


@contextmanager
def switching(seconds: float = 1e-6) -> Iterator[None]:
    """Threads change places after so long: by default as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def until(true: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Wait for it to become true; whether it did."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0005)
    return True


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


def in_words(error: BaseException) -> str:
    """An error of a subject, on a line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def at_once(calls: Iterable[Callable[[], object]], patience: float = PATIENCE) -> list[str]:
    """Make calls in a thread each, which begin together; what they raised, and which of them hang, in words."""
    several = list(calls)
    together = threading.Barrier(len(several))

    def begin(call: Callable[[], object]) -> None:
        together.wait(patience)
        call()

    runners = [Runner(lambda call=call: begin(call)) for call in several]  # type: ignore[misc]
    deadline = time.monotonic() + patience
    for runner in runners:
        runner.join(max(deadline - time.monotonic(), 0.0))
    hanging = sum(runner.is_alive() for runner in runners)
    return [
        *(runner.problem for runner in runners if runner.problem is not None),
        *([f"{hanging} of {len(several)} threads hang"] if hanging else []),
    ]


def asked(measure: Callable[[], Iterable[str]]) -> list[str]:
    """The faults that a measuring function finds; an error of the subject's is one more."""
    try:
        return list(measure())
    except Exception as error:
        return [f"it raised {in_words(error)}"]


class Holding:
    """``with Holding(lock):`` another thread holds the lock meanwhile."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._held, self._leave = threading.Event(), threading.Event()

    def _hold(self) -> None:
        with self._lock:
            self._held.set()
            self._leave.wait()

    def __enter__(self) -> Holding:
        self._runner = Runner(self._hold)
        if not self._held.wait(PATIENCE):
            raise TimeoutError("a free lock could not be taken")
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave.set()
        self._runner.join(PATIENCE)
