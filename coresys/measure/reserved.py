"""Address space that is mapped and yet not in use: reserves of malloc arenas, guard pages, stacks, fresh buffers.

The first thread of a process maps 8 MB of stack, which glibc keeps for the next one, and 64 MB for an arena, of which
132 KB can be written to. Whoever reads the size of the address space once before and once after would call that
growth; over many repetitions it disappears by itself.

Our pools of buffers map all that they may ever lend, 140 MB by default, and use it slot by slot. They know how much
was never used. Of mappings of others that is not known: it would have to be looked up page by page, and those of the
allocators, which have accounts of their own, lie in one mapping with their neighbours.
"""

from __future__ import annotations

import math
import threading
from typing import Protocol
from weakref import WeakValueDictionary

from coresys.measure.system import System

_HEAP_ALIGNMENT = 64 * 1024 * 1024  # where the heaps of glibc's arenas start, on 64 bits


class Mapped(Protocol):
    """Something that was mapped, and knows how much of it is not in use."""

    @property
    def untouched(self) -> int:
        """Bytes that were never written, or given back since: none where it is not mapped any more."""


_mapped: WeakValueDictionary[int, Mapped] = WeakValueDictionary()  # by id: whoever is there, for as long as it is


def register(mapped: Mapped) -> None:
    """Ask it, from now on, how much of it is not in use; for as long as it is there."""
    _mapped[id(mapped)] = mapped


def untouched_bytes() -> int:
    """Bytes of all that was registered that are not in use."""
    if not _mapped:
        return 0
    total = 0
    for each in _mapped.valuerefs():  # a list: another thread may map meanwhile
        mapped = each()
        total += 0 if mapped is None else mapped.untouched
    return total


def reserved_bytes() -> int | None:
    """Bytes of this process's mappings that nothing is kept in; None where the system does not list them."""
    try:
        return _reserved(System.read_file("/proc/self/maps"), _stack_size()) + untouched_bytes()
    except OSError:
        return None


class Reserve:
    """Looks up what is reserved, a tenth of a millisecond, only when what is mapped has moved by ``step`` bytes."""

    def __init__(self, step: int) -> None:
        self._step, self._mapped, self._bytes = step, -math.inf, 0

    def at(self, mapped: int) -> int:
        """Bytes that nothing is kept in, with so many mapped; 0 where the system does not list them."""
        untouched = untouched_bytes()  # moves without anything being mapped
        if abs(mapped - self._mapped) >= self._step:
            self._mapped, self._bytes = mapped, (reserved_bytes() or untouched) - untouched
        return self._bytes + untouched


def _stack_size() -> int:
    if size := threading.stack_size():
        return size
    import resource  # not on Windows, where /proc/self/maps is missing too

    soft = resource.getrlimit(resource.RLIMIT_STACK)[0]
    return 2 * 1024 * 1024 if soft == resource.RLIM_INFINITY else int(soft)


def _reserved(text: bytes, stack_size: int) -> int:
    """The sum over a text like ``/proc/self/maps``; pure, for its tests."""
    total = 0
    guard_end = b""
    for line in text.splitlines():
        words = line.split(None, 5)
        start, _, end = words[0].partition(b"-")
        size = int(end, 16) - int(start, 16)
        name = words[5] if len(words) > 5 else b""
        if name == b"[stack]":  # grows with the deepest recursion, and never shrinks
            total += size
        elif words[4] != b"0" or name.startswith(b"["):  # of a file, or [heap], [vdso]
            pass
        elif words[1].startswith(b"---"):
            total += size
            guard_end = end
            continue
        elif start == guard_end and int(start, 16) % _HEAP_ALIGNMENT:
            # Above a guard page stands a stack; the kernel may have merged the guard with the reserve of an arena.
            total += min(size, stack_size)
        guard_end = b""
    return total
