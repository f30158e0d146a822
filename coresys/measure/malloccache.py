"""Chunks that glibc keeps for this thread (its "tcache") count as in use, so that a reading depends on their number.

A kilobyte that is allocated from this cache, and kept, moves no counter; one that is freed into it looks kept. Both are
small, and repetitions get over them; whoever reads once before and once after cannot.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable
from typing import Any

_LARGEST = 1032  # bytes; larger ones are cached by no glibc before 2.42, and there only if a tunable asks for it
_STEP = 16
_MOST_KEPT = 16  # of each size: 7 by default, 16 since glibc 2.42


class MallocCache:
    """Fills this thread's cache to the brim before each reading, so that it holds the same at all of them."""

    def __init__(self) -> None:
        self._sizes = array("Q", [size for size in range(24, _LARGEST + 1, _STEP) for _ in range(_MOST_KEPT)])
        self._chunks = array("Q", bytes(len(self._sizes) * self._sizes.itemsize))
        self._malloc, self._free = _functions()

    def fill(self) -> None:
        """Take as many chunks of each size as the cache can hold, and give them back. Takes half a millisecond."""
        malloc, free = self._malloc, self._free
        if malloc is None or free is None:
            return
        chunks = self._chunks
        for at, size in enumerate(self._sizes):
            chunks[at] = malloc(size) or 0
        for chunk in chunks:
            free(chunk)


def empty_cache() -> None:
    """Take all chunks of this thread's cache, for good: what is allocated from now on is seen when it is.

    Half a megabyte is gone with them: for a process that only measures, and ends. What is freed from now on fills the
    cache again, with what one run after the other has in use for a moment.
    """
    malloc, _ = _functions()
    if malloc is not None:
        for size in range(24, _LARGEST + 1, _STEP):
            for _ in range(_MOST_KEPT):
                malloc(size)


def _functions() -> tuple[Callable[[int], int | None] | None, Callable[[int], Any] | None]:
    try:
        # PyDLL keeps the interpreter's lock: to wait for it a thousand times, with busy threads, would take seconds.
        libc = ctypes.PyDLL(None)
        libc.mallinfo2  # noqa: B018  # glibc, as the meter needs it
        malloc, free = libc.malloc, libc.free
    except (OSError, TypeError, AttributeError):
        return None, None
    malloc.argtypes, malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    free.argtypes, free.restype = [ctypes.c_void_p], None
    return malloc, free
