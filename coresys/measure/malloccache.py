"""Chunks that glibc keeps for this thread (its "tcache") count as in use, so that a reading depends on their number.

A kilobyte that is allocated from this cache, and kept, moves no counter; one that is freed into it looks kept. Whoever
reads once before and once after fills it to the brim at both. Repetitions get over it too, once it is full; but code
that makes and frees thousands of chunks of many sizes in any order, as SQLite's does, fills it over hundreds of
repetitions, in ever rarer steps that look like a cache's, or like a rare leak's. So ``CacheReader`` reads how much
there is in it.
"""

from __future__ import annotations

import ctypes
from _thread import get_native_id
from array import array
from collections.abc import Callable
from operator import mul
from typing import Any

from coresys.collector import put_off
from coresys.measure.system import FAILURES, System

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


# glibc 2.30 to 2.41: the cache of a process's first thread is the first chunk of its heap. It begins with the number of
# chunks of each size, and no more of it is read.
_BINS = (_LARGEST - 24) // _STEP + 1
_HEADER = 16  # bytes, before what malloc returns; the second half is the chunk's size and flags
_CHUNK = 0x290 | 1  # of the cache itself; the one before it is in use
_PROBED = (24, 520, _LARGEST - _STEP)  # bytes asked for


class CacheReader:
    """Reads how many bytes the calling thread's cache holds, where that can be told; else it says 0.

    The place of glibc's counters is no interface: that they are what they are taken for is tried out, by chunks that
    are freed and taken again, and where they don't follow, nothing is read.
    """

    def __init__(self) -> None:
        self._sizes = array("Q", range(32, 32 + _STEP * _BINS, _STEP))  # of whole chunks
        self._counts: Any = None
        with put_off():  # what a collection frees meanwhile goes into the cache that is tried out
            self._counts = self._find()

    @property
    def is_known(self) -> bool:
        """Whether it can be told here."""
        return self._counts is not None

    def read(self) -> int:
        """Bytes that are counted as in use, and are free."""
        return 0 if self._counts is None else sum(map(mul, self._counts, self._sizes))

    def _find(self) -> Any:
        malloc, free = _functions()
        start = _heap()
        if malloc is None or free is None or start is None or _size_and_flags(start + _HEADER) != _CHUNK:
            return None
        self._counts = (ctypes.c_uint16 * _BINS).from_address(start + _HEADER)
        return self._counts if all(self._follows(size, malloc, free) for size in _PROBED) else None

    def _follows(self, size: int, malloc: Callable[[int], int | None], free: Callable[[int], Any]) -> bool:
        """Whether a chunk that is freed is counted, by its size, and is what is given next, and counted no more."""
        chunk = malloc(size) or 0
        if not chunk:
            return False
        whole = _size_and_flags(chunk) & ~7  # somewhat more than was asked for, at times
        room = malloc(whole - _HEADER // 2) or 0  # out of the cache, if that was full
        before = self.read()
        free(chunk)
        added = self.read() - before
        again = malloc(whole - _HEADER // 2) or 0
        followed = added == whole and again == chunk and self.read() == before
        free(again)
        free(room)
        return followed


def _size_and_flags(chunk: int) -> int:
    return ctypes.c_size_t.from_address(chunk - _HEADER // 2).value


def _heap() -> int | None:
    """Where the heap that grows by brk begins; None for a thread that is not the process's first, or without one."""
    try:
        if get_native_id() != System.getpid():
            return None
        lines = System.read_file("/proc/self/maps").split(b"\n")
    except FAILURES:
        return None
    return next((int(line.partition(b"-")[0], 16) for line in lines if line.endswith(b"[heap]")), None)


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
