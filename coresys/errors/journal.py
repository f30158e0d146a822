"""The last errors, each kind from each place once: bounded by count and by bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import RLock

from coresys.system_records import ErrorRecord


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Errors of one fingerprint in one component: how many, when (seconds since 1970), and the last one whole."""

    fingerprint: str
    component: str
    count: int
    first: float
    last: float
    record: ErrorRecord


class Journal:
    """Keeps the last ``count`` kinds of errors, in about ``bytes`` of memory; what was seen longest ago goes first.

    The last entry stays, whatever its size. Any thread may call any method.
    """

    __slots__ = ("_bytes", "_count", "_entries", "_forgotten", "_lock", "_size")

    def __init__(self, *, count: int = 256, bytes: int = 1 << 20) -> None:
        if not (count >= 1 and bytes >= 1):  # so that NaN is refused, which would bound nothing
            raise ValueError("a journal keeps at least 1 entry and 1 byte")
        self._count, self._bytes = count, bytes
        self._entries: OrderedDict[tuple[str, str], tuple[JournalEntry, int]] = OrderedDict()
        self._size = 0
        self._forgotten = 0
        self._lock = RLock()  # re-entrant: a finalizer may report an error in the midst of this

    def add(self, record: ErrorRecord, times: int = 1) -> JournalEntry:
        """Take note of an error; returns what is kept of its kind."""
        key = (record.component, record.fingerprint)
        size = size_of(record)
        with self._lock:
            while True:
                held = self._entries.get(key)
                old, old_size = (None, 0) if held is None else held
                count, first = (0, record.time) if old is None else (old.count, old.first)
                entry = JournalEntry(record.fingerprint, record.component, count + times, first, record.time, record)
                following = (entry, size)
                if self._entries.get(key) is held:  # else a finalizer was here, while those were made
                    break
            self._entries[key] = following
            self._entries.move_to_end(key)
            self._size += size - old_size
            while len(self._entries) > 1 and (len(self._entries) > self._count or self._size > self._bytes):
                _, (oldest, gone) = self._entries.popitem(last=False)
                self._size -= gone
                self._forgotten += oldest.count
        return entry

    def entries(self, component: str | None = None) -> tuple[JournalEntry, ...]:
        """What is kept, in the order in which each was seen last; of one component, or of all."""
        with self._lock:
            kept = [entry for entry, _ in self._entries.values()]
        return tuple(entry for entry in kept if component is None or entry.component == component)

    def after_fork(self) -> None:
        """Called in a new process, whose one thread this is: nobody else holds the lock any more."""
        self._lock = RLock()

    @property
    def forgotten(self) -> int:
        """Errors that nothing is kept of any more."""
        return self._forgotten

    @property
    def size(self) -> int:
        """Bytes of what is kept, as ``size_of`` counts them."""
        return self._size

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Journal: {len(self)} of {self._count} kinds, {self._size} of {self._bytes} bytes>"


def size_of(record: ErrorRecord) -> int:
    """About the bytes that a record keeps for itself: file and function names are shared with the code they name."""
    size = 700 + len(record.message) + sum(map(len, record.notes)) + 110 * len(record.frames)
    for frame in record.frames:
        for _, text in frame.values:
            size += 160 + len(text)
    for _, text in record.context:
        size += 160 + len(text)
    for inner in (*record.causes, *record.members):
        size += size_of(inner)
    return size
