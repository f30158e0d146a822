"""Tests that run alone: no other test of the same run, on this machine, runs beside them.

One file, locked by the kernel: a test that runs alone holds it exclusively, each other one shared. A second file is a
turnstile: who wants to be alone holds it while waiting, so that others cannot go round in front of it for ever. Whoever
ends, however that is, holds nothing any more: a child that it has forked gives up what it got of the locks at once.
Where there are no such locks, or the files cannot be opened, nothing is kept apart, and ``problem`` says why: no run
ends for it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


_RUN, _TURN = "run", "turn"
_mine: set[int] = set()  # descriptors of locks that this process holds, or waits for


def _give_up() -> None:
    """In a child: a lock of the kernel is held until the last process that has its descriptor ends, or closes it."""
    while _mine:
        with contextlib.suppress(OSError):
            os.close(_mine.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_give_up)


class Quiet:
    """The two locks of one run, by the name that its processes share."""

    def __init__(self, run: str, folder: Path | None = None) -> None:
        place = folder or Path(tempfile.gettempdir())
        owner = os.getuid() if hasattr(os, "getuid") else 0
        self._paths = {name: place / f"coresys-{owner}-{run}.{name}" for name in (_RUN, _TURN)}
        self.problem = "" if self.works else "this system has no such locks"
        """Why tests were not kept apart; empty if they were."""

    @property
    def works(self) -> bool:
        """Whether tests can be kept apart here."""
        return fcntl is not None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait for the others to finish their tests, and keep them from beginning new ones."""
        with self._held(_TURN, alone=True), self._held(_RUN, alone=True):
            yield

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Wait while one runs alone, or waits to."""
        with self._held(_TURN, alone=False):
            pass
        with self._held(_RUN, alone=False):
            yield

    def remove(self) -> None:
        """The run is over."""
        for path in self._paths.values():
            with contextlib.suppress(OSError):
                path.unlink()

    @contextlib.contextmanager
    def _held(self, name: str, *, alone: bool) -> Iterator[None]:
        """One of the locks, on a descriptor of its own.

        It is taken back by name before that is closed: a child that was forked meanwhile by other means than Python's
        has it too. What has no lock goes on without.
        """
        found = None if fcntl is None else self._opened(name)
        if found is None:
            yield
            return
        try:
            try:
                fcntl.flock(found, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            except OSError as error:
                self.problem = error.strerror or str(error)
            yield
        finally:
            if found in _mine:  # else this is a child, which came out of its test as its parent does
                _mine.discard(found)
                with contextlib.suppress(OSError):
                    fcntl.flock(found, fcntl.LOCK_UN)
                with contextlib.suppress(OSError):  # the test has closed whatever was open
                    os.close(found)

    def _opened(self, name: str) -> int | None:
        try:
            found = os.open(self._paths[name], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:  # a test has removed the folder, or has left no descriptor
            self.problem = f"{self._paths[name]}: {error.strerror or error}"
            return None
        _mine.add(found)
        return found
