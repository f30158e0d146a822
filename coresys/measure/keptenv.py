"""What the C library keeps of the environment: each value that was ever given to ``setenv``, for good.

POSIX lets a program hold on to what ``getenv`` returned, so glibc never frees a value that is replaced: a test that
sets a variable to something new in each run (a token, a folder, a port) adds some hundred bytes to the process each
time, and nothing that the test does, or leaves undone, could change that. It is not what is looked for, so it is
counted and taken off. In Python both ``os.environ`` and ``os.environb`` go through ``os.putenv``.

Counted is what glibc's ``setenv`` allocates for a text "name=value" that it has not seen before (stdlib/setenv.c): the
text, and a node of the tree in which it finds it again. To read malloc's own counters around the call would not do: a
chunk that comes out of the thread's cache moves none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coresys.measure.meters import MallocMeter

_NODE = 32  # bytes: three pointers, as malloc gives them
# What is left of a free chunk and is too small to be one is given along: 16 bytes now and then. Counted each time, for
# what is not taken off is called a leak, and what is too much hides one of some bytes, in tests of this kind only.
_ALONG = 16
_SEEN = 1 << 16  # places in the table of what was seen


def _chunk(size: int) -> int:
    """What malloc takes for so many bytes on a machine of 64 bits: a header of 8, in steps of 16, at least 32."""
    return max((size + 8 + 15) & ~15, 32)


class KeptEnvironment:
    """Counts, while it watches, the bytes that glibc keeps of what ``os.putenv`` is given; 0 where it is not glibc."""

    def __init__(self) -> None:
        self.bytes = 0
        # By hash, and of one size for good: what remembers texts would grow as they do. Of two that fall on one place
        # the second is not counted.
        self._seen = bytearray(_SEEN)
        try:
            MallocMeter()
        except NotImplementedError:
            self._seen = bytearray(b"\1" * _SEEN)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Stand in the place of ``os.putenv``; whoever took it before goes on to call the real one."""
        module: Any = os
        real = module.putenv

        def putenv(name: Any, value: Any, /) -> None:
            real(name, value)
            text = os.fsencode(name) + b"=" + os.fsencode(value)
            place = hash(text) % _SEEN
            if not self._seen[place]:
                self._seen[place] = 1
                self.bytes += _chunk(len(text) + 1) + _NODE + _ALONG

        module.putenv = putenv
        try:
            yield
        finally:
            if module.putenv is putenv:
                module.putenv = real


__all__ = ["KeptEnvironment"]
