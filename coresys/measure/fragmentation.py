"""Bytes that are free and yet no use to anybody: in pools and chunks that something alive keeps from being given back.

Source of the definition: stranded bytes over bytes in use. An absolute share of the heap says nothing (a fresh
interpreter has 10 to 25 %), so it is what was *added* since a baseline.

pymalloc tells the free blocks of pools that hold a live one. malloc's own figure of free bytes (``fordblks``) will not
do: pages that a trim gave back from the middle of a heap are still counted there. So the resident pages of its heaps
are counted, less what is in use. Chunks that were never touched count as in use, and make that a little too small.
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Iterator

from coresys.measure.meters import PAGE, MallocMeter, Memory, mincore, trim
from coresys.measure.system import READ_ONLY, System

LEAST_IN_USE = 1024 * 1024
_ARENA = 64 * 1024 * 1024  # glibc's further heaps stand at multiples of this, on 64 bits
_HEAP_INFO = struct.Struct("@PPNN")  # heap_info: its arena, the heap before it, size, size that can be written to
_MAPPING = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) rw.p [0-9a-f]+ 00:00 0 *(\[heap\])?\Z")
_PAGES_AT_ONCE = 4096
_LOOKS = 3
_PRESENT = bytes(number & 1 for number in range(256))  # of mincore's bits, only the lowest has a meaning


def share(stranded: float, in_use: float) -> float:
    """Stranded bytes over bytes in use, of which at least 1 MiB is assumed: below that, shares say nothing."""
    return max(stranded, 0.0) / max(in_use, LEAST_IN_USE)


def stranded(before: int, after: int, control: int = 0) -> int:
    """Bytes stranded between two figures of ``stranded_now``, over what an empty run strands; never negative."""
    return max(after - before - control, 0)


def stranded_now(memory: Memory) -> int:
    """Free bytes in pymalloc pools with a live block, and free malloc bytes still resident after a trim."""
    return memory.pool_free + resident_free()


def resident_free() -> int:
    """Bytes free in malloc's heaps whose pages the system still keeps for us. Trims first.

    Takes some 0.1 ms, and 1 ms more for each 200 MB. Raises OSError where the system does not list its mappings, and
    NotImplementedError for other C libraries than glibc.
    """
    malloc = MallocMeter()
    trim()
    for _ in range(_LOOKS):
        _, _, before = malloc.read_heaps()
        heaps = list(_heaps())
        resident = sum(_resident(start, end) for start, end in heaps)
        in_use, free, size = malloc.read_heaps()
        if size == before:  # else what was listed has grown meanwhile, by what looking takes if by nothing else
            break
    # Heaps that were not found (made by mmap, because brk failed) are taken for used up.
    unknown = max(size - sum(end - start for start, end in heaps), 0)
    return max(min(free, resident - (in_use - unknown)), 0)


def _heaps() -> Iterator[tuple[int, int]]:
    """Where malloc's heaps are: the one of brk, and those of the further arenas, as far as they are given out."""
    memory = System.open("/proc/self/mem", READ_ONLY)
    try:
        for line in _lines("/proc/self/maps"):
            found = _MAPPING.match(line)
            if found is None:
                continue
            start, end = int(found[1], 16), int(found[2], 16)
            if found[3]:
                yield start, end
                continue
            # The kernel may have merged a heap with what is mapped below or above it: look at each multiple within.
            for heap in range(-(-start // _ARENA) * _ARENA, end, _ARENA):
                size = _heap_size(heap, _read(memory, heap))
                if size:
                    yield heap, min(heap + size, end)
    finally:
        System.close(memory)


def _lines(path: str) -> Iterator[bytes]:
    """The lines of a file, in small reads: a large buffer would leave its own pages in the heap it is to look at."""
    fd = System.open(path, READ_ONLY)
    try:
        rest = b""
        while chunk := System.read(fd, 4096):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
    finally:
        System.close(fd)


def _read(memory: int, address: int) -> bytes:
    try:
        return System.pread(memory, _HEAP_INFO.size, address)
    except OSError:  # unmapped since by another thread
        return b""


def _heap_size(address: int, info: bytes) -> int:
    """The size of the heap at ``address``, whose first bytes are ``info``; 0 if something else is mapped there."""
    if len(info) < _HEAP_INFO.size:
        return 0
    arena, before, size, writable = _HEAP_INFO.unpack(info)
    # The arena stands behind the head of its first heap; later heaps point back to the one before.
    of_first = 0 < arena % _ARENA <= 256
    sound = arena - address == arena % _ARENA if before == 0 else before % _ARENA == 0
    if of_first and sound and 0 < size <= writable <= _ARENA and size % PAGE == writable % PAGE == 0:
        return int(size)
    return 0


def _resident(start: int, end: int) -> int:
    """Resident bytes of a range that belongs to no file; what is not mapped any more has none."""
    seen = ctypes.create_string_buffer(_PAGES_AT_ONCE)
    pages = 0
    for at in range(start, end, _PAGES_AT_ONCE * PAGE):
        length = min(end - at, _PAGES_AT_ONCE * PAGE)
        if mincore(at, length, seen):
            pages += seen.raw[: length // PAGE].translate(_PRESENT).count(1)
    return pages * PAGE
