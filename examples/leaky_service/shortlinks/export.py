"""Exports: rows that are piped through a helper program into a file, and their check sum."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import zlib
from pathlib import Path

_running: list[Exporter] = []

if sys.platform == "linux":
    _libc = ctypes.CDLL(None)
    _libc.malloc.argtypes, _libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    _libc.free.argtypes, _libc.free.restype = [ctypes.c_void_p], None


class Exporter:
    """Rows for *path*, through *program*, which reads standard input and writes standard output."""

    def __init__(self, path: Path, program: str = "cat") -> None:
        self.path = path
        with path.open("wb") as target:
            self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=target, bufsize=0)
        _running.append(self)

    def write(self, row: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(row.encode() + b"\n")

    def finish(self) -> int:
        """Wait for the program; the size of the export."""
        self._end()
        return self.path.stat().st_size

    def cancel(self) -> None:
        """Give the export up, and leave no file."""
        self.path.unlink()

    def _end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        _running.remove(self)


def check_sum(content: bytes) -> int:
    """CRC-32 of a copy of *content* that the caller cannot change meanwhile."""
    if sys.platform != "linux":
        return zlib.crc32(content)
    scratch = _libc.malloc(len(content))
    ctypes.memmove(scratch, content, len(content))
    return zlib.crc32(ctypes.string_at(scratch, len(content)))
