"""A process that times every lock which coresys makes: ``python -m validation_suites.locks.holds SECONDS``.

The makers of locks are replaced before coresys is imported, so that each lock of it is one that looks at the clock when
it is taken and let go. Then its whole system is used by eight threads. What is printed, as JSON, of each lock that was
held often: the line that made it, how often it was held, and for how long, of some that stand for all.

A lock that is let go by another thread than the one that took it guards nothing (it is a signal), and is left out.
"""

from __future__ import annotations

import _thread
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_MOST_KEPT = 4_000  # of one lock; then each second one is left out, and so on
_THREADS = 8


class _Holds:
    """Of one lock. Written just after it was held: what two threads write at once may be lost, one in thousands, which
    changes no quantile."""

    __slots__ = ("count", "every", "kept", "where")

    def __init__(self, where: str) -> None:
        self.where, self.count, self.every = where, 0, 1
        self.kept: list[float] = []

    def add(self, seconds: float) -> None:
        self.count += 1
        if self.count == FEWEST_HOLDS:
            often.append(self)
        if self.count % self.every == 0:
            self.kept.append(seconds)
            if len(self.kept) > _MOST_KEPT:
                self.kept, self.every = self.kept[::2], self.every * 2


FEWEST_HOLDS = 100  # below, the 99th of a hundred is the longest
often: list[_Holds] = []


def _where() -> str | None:
    """The line of coresys that makes a lock; None where somebody else does."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename == threading.__file__:
        frame = frame.f_back
    path = "" if frame is None else frame.f_code.co_filename
    at = path.rfind(f"{os.sep}coresys{os.sep}")
    return None if frame is None or at < 0 else f"{path[at + 1 :]}:{frame.f_lineno}"


class _Timed:
    """A raw lock that is timed from when it is taken to when it is let go, by the same thread."""

    __slots__ = ("__weakref__", "_depth", "_holds", "_owner", "_raw", "_since")

    def __init__(self, raw: Any, where: str) -> None:
        self._raw, self._holds = raw, _Holds(where)
        self._owner, self._depth, self._since = 0, 0, 0.0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        taken: bool = self._raw.acquire(blocking, timeout)
        if taken:
            self._depth += 1
            if self._depth == 1:
                self._owner, self._since = _thread.get_ident(), time.perf_counter()
        return taken

    __enter__ = acquire

    def release(self) -> None:
        held = time.perf_counter() - self._since
        outermost, mine = self._depth == 1, self._owner == _thread.get_ident()
        if self._depth > 0:
            self._depth -= 1
        try:
            self._raw.release()
        except RuntimeError:
            self._depth += 1 if not mine else 0
            raise
        if outermost and mine:
            self._holds.add(held)

    def __exit__(self, *exc: object) -> None:
        self.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __repr__(self) -> str:
        return repr(self._raw)


def timed(make: Callable[[], Any]) -> Callable[[], Any]:
    """Makes locks as ``make`` does; those of coresys are timed."""

    def made() -> Any:
        where = _where()
        return make() if where is None else _Timed(make(), where)

    return made


def _replace_makers() -> None:
    rlock, lock = timed(_thread.RLock), timed(_thread.allocate_lock)
    makers: tuple[tuple[Any, str, Any], ...] = (
        (_thread, "RLock", rlock),
        (threading, "RLock", rlock),
        (_thread, "allocate_lock", lock),
        (threading, "Lock", lock),
    )
    for module, name, make in makers:
        setattr(module, name, make)


def main(seconds: float) -> None:
    """Replace, import, storm, print."""
    lock = _Timed(_thread.allocate_lock(), "raw")
    _replace_makers()
    from validation_suites import ours
    from validation_suites.locks.measures import system_storm

    def nothing() -> None:
        with lock:
            pass

    with ours.system(sampling=10.0) as system:
        came = system_storm(system, (), seconds, threads=_THREADS, beside=nothing)
    if came.faults:
        sys.exit(f"the storm failed: {came.faults[0]}")
    json.dump([[holds.where, holds.count, holds.kept] for holds in often], sys.stdout)


if __name__ == "__main__":
    main(float(sys.argv[1]))
