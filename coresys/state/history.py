"""The history of a machine in memory: bounded by count and by bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

# sequence, time, event, source, target, cause, actor
Entry = tuple[int, float, str, str, str, "str | None", "str | None"]

# What an entry without cause and actor takes: the tuple (112 bytes with its header), a float and an int.
ENTRY_BYTES = 168
HISTORY_COUNT = 128
HISTORY_BYTES = 32_768


class Ring(deque[Entry]):
    """The history of one machine: bounded by count, and by bytes where causes and actors make entries long."""

    __slots__ = ("limit", "texts")

    def __init__(self, entries: Iterable[Entry], count: int, limit: int) -> None:
        super().__init__(entries, max(1, min(count, limit // ENTRY_BYTES)))
        self.limit = limit
        self.texts = sum(_text_bytes(entry) for entry in self)

    def add(self, entry: Entry) -> None:
        """Append an entry, where one of all has a cause or an actor, and let go of the oldest until all fit."""
        self.append(entry)
        self.texts += _text_bytes(entry)  # too much by those that ``append`` let go of: counted anew when it matters
        if self._bytes() > self.limit:
            self.texts = sum(map(_text_bytes, self))
            if self._bytes() > self.limit:
                # Somewhat more than has to be, so that not each of the next ones counts again.
                while len(self) > 1 and self._bytes() > self.limit * 7 // 8:
                    self.texts -= _text_bytes(self.popleft())

    def _bytes(self) -> int:
        return len(self) * ENTRY_BYTES + self.texts


def _text_bytes(entry: Entry) -> int:
    # 49 bytes is an empty str; four bytes a character at most.
    return sum(49 + (len(text) if text.isascii() else 4 * len(text)) for text in (entry[5], entry[6]) if text)
