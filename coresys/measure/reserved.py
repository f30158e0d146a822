"""Address space that is mapped and yet not in use: reserves of malloc arenas, guard pages, thread stacks.

The first thread of a process maps 8 MB of stack, which glibc keeps for the next one, and 64 MB for an arena, of which
132 KB can be written to. Whoever reads the size of the address space once before and once after would call that
growth; over many repetitions it disappears by itself.
"""

from __future__ import annotations

import math
import threading

from coresys.measure.system import System

_HEAP_ALIGNMENT = 64 * 1024 * 1024  # where the heaps of glibc's arenas start, on 64 bits


def reserved_bytes() -> int | None:
    """Bytes of this process's mappings that nothing can be kept in; None where the system does not list them."""
    try:
        return _reserved(System.read_file("/proc/self/maps"), _stack_size())
    except OSError:
        return None


class Reserve:
    """Looks up what is reserved, a tenth of a millisecond, only when what is mapped has moved by ``step`` bytes."""

    def __init__(self, step: int) -> None:
        self._step, self._mapped, self._bytes = step, -math.inf, 0

    def at(self, mapped: int) -> int:
        """Bytes that nothing can be kept in, with so many mapped; 0 where the system does not list them."""
        if abs(mapped - self._mapped) >= self._step:
            self._mapped, self._bytes = mapped, reserved_bytes() or 0
        return self._bytes


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
