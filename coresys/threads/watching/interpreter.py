"""How long a thread that wants the interpreter waits for it: beside what locks cost, for it looks the same to a user.

One thread sleeps for some milliseconds, again and again, and sees how late it gets to run. What it stood in line for a
processor by then, which others have, is not the interpreter's. Some 10 us of work each 5 ms, so only for whoever asks.
"""

from __future__ import annotations

import _thread
import threading
from dataclasses import dataclass

from coresys.clock import monotonic, sleep
from coresys.threads.watching.busy import queued_of
from coresys.threads.watching.raw import allocate_lock

EACH = 0.005  # seconds
_FREE = 0.0005  # seconds, that any sleep may last longer


@dataclass(frozen=True, slots=True)
class InterpreterWait:
    """Of so many samples: seconds that each waited for the interpreter, on the average and at most."""

    samples: int = 0
    average: float = 0.0
    longest: float = 0.0

    def __str__(self) -> str:
        if not self.samples:
            return "the interpreter: not known how long threads waited for it"
        if self.average < _FREE:
            return "the interpreter was free: it is the lock that was waited for"
        return (
            f"the interpreter (GIL): a thread that wanted it waited {1000 * self.average:.1f} ms on the average, "
            f"{1000 * self.longest:.1f} ms at most"
        )


class InterpreterWatch:
    """Measures in a ``with`` block, and may be entered again: then it goes on with what it has."""

    def __init__(self) -> None:
        self._samples, self._sum, self._longest = 0, 0.0, 0.0
        self._on = False
        self._ended = allocate_lock()

    def __enter__(self) -> InterpreterWatch:
        self._on = True
        self._ended.acquire()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # no more threads
            self._ended.release()
        return self

    def __exit__(self, *_: object) -> None:
        self._on = False
        with self._ended:
            pass

    def _run(self) -> None:
        try:
            number = threading.get_native_id()
            while self._on:
                self._sample(number)
        finally:
            self._ended.release()

    def sample(self, count: int) -> InterpreterWatch:
        """Take so many samples in the calling thread, which sleeps meanwhile."""
        number = threading.get_native_id()
        for _ in range(count):
            self._sample(number)
        return self

    def _sample(self, number: int) -> None:
        begin, queued = monotonic(), queued_of(number)
        sleep(EACH)
        late, after = monotonic() - begin - EACH, queued_of(number)
        if queued is not None and after is not None:
            self.add(late - (after - queued))

    def add(self, late: float) -> None:
        """One more sample, of so many seconds."""
        self._samples += 1
        self._sum += max(late, 0.0)
        self._longest = max(self._longest, late)

    def read(self) -> InterpreterWait:
        """What was measured so far."""
        if not self._samples:
            return InterpreterWait()
        return InterpreterWait(self._samples, self._sum / self._samples, self._longest)

    def told(self) -> str:
        return str(self.read())


__all__ = ["InterpreterWait", "InterpreterWatch"]
