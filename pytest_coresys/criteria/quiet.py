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


_RUN, _TURN = "run", "turn"


class Quiet:
    """The two locks of one run, by the name that its processes share."""

    def __init__(self, run: str, folder: Path | None = None) -> None:
        place = folder or Path(tempfile.gettempdir())
        owner = os.getuid() if hasattr(os, "getuid") else 0
        self._paths = {name: place / f"coresys-{owner}-{run}.{name}" for name in (_RUN, _TURN)}

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

        It is taken back by name before that is closed: a child that was forked meanwhile, and lives on, has it too.
        """
        if fcntl is None:
            yield
            return
        found = os.open(self._paths[name], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(found, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(found, fcntl.LOCK_UN)
            os.close(found)
