"""Functions of the system as they are: readings are taken while tests and wider fixtures have patched ``os``."""

from __future__ import annotations

import os
from collections.abc import Callable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class System:
    """In a class, since fakes of a file system put theirs in the place of such a function in every module.

    ``pread`` is missing on Windows; nothing that needs it is reached there.
    """

    open, close, read, fstat = os.open, os.close, os.read, os.fstat
    stat, listdir, readlink, getcwd, getpid = os.stat, os.listdir, os.readlink, os.getcwd, os.getpid
    pread: Callable[[int, int, int], bytes] = getattr(os, "pread", None)  # type: ignore[assignment]

    @classmethod
    def read_file(cls, path: str, piece: int = 65536) -> bytes:
        """The whole of a file of /proc. Raises OSError."""
        fd = cls.open(path, READ_ONLY)
        try:
            return b"".join(iter(lambda: cls.read(fd, piece), b""))
        finally:
            cls.close(fd)

    @classmethod
    def moved_up(cls, fd: int, lowest: int) -> int:
        """The same file under a free number from ``lowest`` on, the old one closed; unmoved where there is none."""
        if _fcntl is None:
            return fd
        try:
            moved = _fcntl(fd, _DUP_FROM, lowest)
        except OSError:
            return fd
        cls.close(fd)
        return moved


READ_ONLY = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
_fcntl: Callable[[int, int, int], int] | None = getattr(fcntl, "fcntl", None)
_DUP_FROM: int = getattr(fcntl, "F_DUPFD_CLOEXEC", 0)

# What a reading may raise where something is missing, or patched. Not every Exception: a handler of signals may raise
# what is meant to end the run (``pytest.exit()``) in the middle of it.
FAILURES = (OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)
