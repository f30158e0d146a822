"""Tests that run alone: no other test of the same run, on this machine, runs beside them.

One file, locked by the kernel: a test that runs alone holds it exclusively, each other one shared. A second file is a
turnstile: who wants to be alone holds it while waiting, so that others cannot go round in front of it for ever. Whoever
ends, however that is, holds nothing any more. Where the kernel has no such locks nothing is kept apart, and said so.
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


class Quiet:
    """The two locks of one run, by the name that its processes share."""

    def __init__(self, run: str, folder: Path | None = None) -> None:
        place = folder or Path(tempfile.gettempdir())
        owner = os.getuid() if hasattr(os, "getuid") else 0
        self._paths = [place / f"coresys-{owner}-{run}.{name}" for name in ("run", "turn")]

    @property
    def works(self) -> bool:
        """Whether tests can be kept apart here."""
        return fcntl is not None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait for the others to finish their tests, and keep them from beginning new ones."""
        if fcntl is None:
            yield
            return
        with self._open(1) as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            with self._open(0) as run:
                fcntl.flock(run, fcntl.LOCK_EX)
                yield

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Wait while one runs alone, or waits to."""
        if fcntl is None:
            yield
            return
        with self._open(1) as turn:
            fcntl.flock(turn, fcntl.LOCK_SH)
        with self._open(0) as run:
            fcntl.flock(run, fcntl.LOCK_SH)
            yield

    def remove(self) -> None:
        """The run is over."""
        for path in self._paths:
            with contextlib.suppress(OSError):
                path.unlink()

    @contextlib.contextmanager
    def _open(self, number: int) -> Iterator[int]:
        """A descriptor of its own. Closed before it is left, also in children that were forked meanwhile: the lock
        belongs to what was opened, and is taken back by name, for a child that lives on has it too."""
        found = os.open(self._paths[number], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield found
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(found, fcntl.LOCK_UN)
            os.close(found)
