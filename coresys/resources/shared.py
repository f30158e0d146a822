"""Tiers that several processes may use: the memory is shared, the allocator is not.

The process that made the pools is the only one that lends. A lease travels as a token: ``lease.hand_over()`` makes one,
it is pickled to wherever it is wanted, and ``with token.open() as view:`` uses it there and gives it back at the end.

What holds:

- The slot stays charged to its owner in the creating process until it comes back. That process looks for what came
  back whenever it is asked for a buffer, or about them; who waits for a buffer looks a hundred times a second.
- A token is good for one opening, by one process, at whatever time: an advisory lock on a byte of the segment, which
  the kernel lets go of when whoever has it ends, however that was. So the lease of a process that was killed is told
  as leaked, with its place, and taken back; no process identity is trusted for it. (A child that this process forked
  while it was open has the lock too.) Without such locks (they are of Linux) who died is not told apart from who
  works: its leases stay lent until the pools are closed.
- Until a token is opened, nobody can tell whether it ever will be: ``release_owner`` takes it back, and opening it
  after that raises.
- The segment is made by ``multiprocessing.shared_memory``, so its resource tracker removes it where the creating
  process is killed (when the last process that has the tracker's pipe has ended). Otherwise it is removed once: by
  ``close()`` of the pools, or when the interpreter ends, in the creating process only. Those who open tokens never
  register with the tracker: before Python 3.13 it would remove the segment at the end of the first of them.
- In a forked child the shared tiers of the parent's pools lend nothing (SharedTierError): two allocators of one memory
  would lend a slot twice. Tokens work there as anywhere.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import finalize

from coresys.errors.hierarchy import LeaseInUseError, LeaseReleasedError, SharedTierError
from coresys.measure.meters import PAGE
from coresys.resources.slab import Slab
from coresys.resources.tiers import Tier

if TYPE_CHECKING:
    from multiprocessing.shared_memory import SharedMemory

try:
    import _posixshmem  # type: ignore[import-not-found]  # what multiprocessing.shared_memory opens segments with
    import fcntl
except ImportError:  # not on Windows
    _posixshmem = fcntl = None  # type: ignore[assignment]

# The table behind the slots: for each the number of the lease that was handed over (0: none), and what became of it.
_ENTRY = struct.Struct("QQ")
TRAVELS, OPEN, RETURNED = 1, 2, 3
_LOCK = struct.Struct("hhqqi")  # struct flock of 64 bit Linux
KNOWS_WHO_DIED = sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLK") and sys.maxsize > 2**32


def _rounded(size: int) -> int:
    return -(-size // PAGE) * PAGE


def _open_segment(name: str) -> int:
    """A descriptor of its own for a segment, without the resource tracker hearing of it."""
    descriptor: int = _posixshmem.shm_open(name, os.O_RDWR, mode=0o600)
    return descriptor


def _lock(descriptor: int, slot: int, *, take: bool) -> bool:
    """Take the lock of a slot, or let it go; whether that could be done."""
    if not KNOWS_WHO_DIED:
        return True
    kind = fcntl.F_WRLCK if take else fcntl.F_UNLCK
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _LOCK.pack(kind, os.SEEK_SET, slot, 1, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True


def _remove(segment: SharedMemory, creator: int) -> None:
    """Remove the name of a segment, and tell the tracker, once: where it was made."""
    if os.getpid() == creator:
        try:
            segment.unlink()
        except FileNotFoundError:  # by somebody with ``rm``
            pass


class SharedSlab(Slab):
    """The slots of one tier, in a segment that other processes can open."""

    __slots__ = ("_descriptor", "_removing", "_table", "name")

    def _make(self, size: int) -> mmap.mmap:
        if _posixshmem is None:
            raise ValueError("tiers are shared by POSIX shared memory, which is not here")
        from multiprocessing.shared_memory import SharedMemory  # only where it is wanted: it takes its time

        self._table = _rounded(size)
        whole = self._table + _rounded(_ENTRY.size * self.slots)
        segment = SharedMemory(create=True, size=whole)
        self.name = segment.name if segment.name.startswith("/") else f"/{segment.name}"
        self._removing = finalize(self, _remove, segment, os.getpid())
        self._descriptor = _open_segment(self.name)
        mapping = mmap.mmap(self._descriptor, whole)
        segment.close()  # its own mapping, and descriptor: not the segment
        return mapping

    @property
    def _advice(self) -> int | None:
        return getattr(mmap, "MADV_REMOVE", None)  # MADV_DONTNEED leaves what is shared where it is

    def hand_over(self, slot: int, number: int) -> None:
        """Somebody may open it from now on."""
        _ENTRY.pack_into(self._mapping, self._table + slot * _ENTRY.size, number, TRAVELS)

    def state(self, slot: int) -> int:
        """What became of what was handed over."""
        found: int = _ENTRY.unpack_from(self._mapping, self._table + slot * _ENTRY.size)[1]
        return found

    def recall(self, slot: int) -> bool:
        """Nobody can open it any more, and nobody has it open; false, and nothing changed, where somebody has."""
        if not KNOWS_WHO_DIED and self.state(slot) == OPEN:
            return False
        if not _lock(self._descriptor, slot, take=True):
            return False
        try:
            _ENTRY.pack_into(self._mapping, self._table + slot * _ENTRY.size, 0, 0)
        finally:
            _lock(self._descriptor, slot, take=False)
        return True

    def token(self, slot: int, number: int, size: int, owner: str) -> LeaseToken:
        """What another process needs to open it."""
        return LeaseToken(self.name, slot, self.slot, size, number, self._table, owner)

    def forsake(self) -> None:
        """In a forked child: lend nothing, and leave all to the parent."""
        self._removing.detach()
        self.warm.clear()
        self.cold.clear()
        self.fresh = self.slots
        self.is_forsaken = True

    def close(self) -> None:
        """As that of any slab; also removes the segment."""
        super().close()
        self._removing()
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class LeaseToken:
    """A lease on its way to another process: small, and to be pickled. It is good for one ``open``."""

    segment: str
    slot: int
    slot_size: int
    size: int
    number: int
    table: int
    owner: str

    def open(self) -> ForeignLease:
        """Have the buffer in this process. Raises LeaseReleasedError where it was taken back, or opened before, and
        LeaseInUseError where another process has it open."""
        return ForeignLease(self)


class ForeignLease:
    """A buffer of another process's pools, opened by its token: ``with`` gives it back at the end.

    It maps its own slot, and nothing else but what is on the same pages.
    """

    __slots__ = ("_creator", "_descriptor", "_entry", "_mapping", "_view", "token")

    def __init__(self, token: LeaseToken) -> None:
        self.token = token
        self._descriptor = -1
        try:
            self._descriptor = _open_segment(token.segment)
        except FileNotFoundError:
            raise self._released() from None
        try:
            if not _lock(self._descriptor, token.slot, take=True):
                raise LeaseInUseError(number=token.number, owner=token.owner, where="open in another process")
            at = token.table + token.slot * _ENTRY.size
            self._entry = _mapped(self._descriptor, at, _ENTRY.size)
            if _ENTRY.unpack_from(self._entry[0], self._entry[1]) != (token.number, TRAVELS):
                raise self._released()
            self._mapping, start = _mapped(self._descriptor, token.slot * token.slot_size, token.slot_size)
            with memoryview(self._mapping) as whole:
                self._view = whole[start : start + token.size]
            self._creator = os.getpid()
            self._note(OPEN)
        except BaseException:
            os.close(self._descriptor)  # with the lock
            self._descriptor = -1
            raise

    def _note(self, state: int) -> None:
        _ENTRY.pack_into(self._entry[0], self._entry[1], self.token.number, state)

    def _released(self) -> LeaseReleasedError:
        return LeaseReleasedError(number=self.token.number, owner=self.token.owner, where="handed to this process")

    def __del__(self) -> None:
        """Dropped, and not given back: let go of the lock, so that whoever lent it tells of it, and takes it back.

        Not where a slice of the view is alive: that would be another's memory then.
        """
        try:
            if self._descriptor >= 0:
                self._view.release()
                self._mapping.close()
                os.close(self._descriptor)
        except (AttributeError, BufferError, OSError):
            pass

    @property
    def view(self) -> memoryview:
        """The bytes. Raises LeaseReleasedError."""
        if self._descriptor < 0:
            raise self._released()
        return self._view

    def release(self) -> None:
        """Give it back. Raises LeaseReleasedError where that was done before, LeaseInUseError while it can't be."""
        if self._descriptor < 0:
            raise self._released()
        try:
            self._view.release()
            self._mapping.close()
        except BufferError:
            with memoryview(self._mapping) as whole:
                start = self.token.slot * self.token.slot_size % mmap.ALLOCATIONGRANULARITY
                self._view = whole[start : start + self.token.size]
            raise LeaseInUseError(number=self.token.number, owner=self.token.owner) from None
        if os.getpid() == self._creator:  # else it was forked since, and the parent of this process has it still
            self._note(RETURNED)
        self._entry[0].close()
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    def __enter__(self) -> memoryview:
        return self.view

    def __exit__(self, *exc: object) -> None:
        self.release()

    def __repr__(self) -> str:
        state = "released" if self._descriptor < 0 else f"{self.token.size} bytes"
        return f"<ForeignLease {self.token.number} of {self.token.owner!r}: {state}>"


def _mapped(descriptor: int, at: int, size: int) -> tuple[mmap.mmap, int]:
    """A mapping that has those bytes, and where in it they begin."""
    start = at % mmap.ALLOCATIONGRANULARITY
    return mmap.mmap(descriptor, start + size, offset=at - start), start


def slab_of(tier: Tier) -> Slab:
    """The memory of a tier, shared or not."""
    return SharedSlab(tier) if tier.shared else Slab(tier)


def shared_slab(slab: Slab, tier: str) -> SharedSlab:
    """That of a shared tier. Raises SharedTierError for any other."""
    if not isinstance(slab, SharedSlab):
        raise SharedTierError(tier=tier, problem="it is not shared, so nothing of it can be handed to another process")
    return slab


__all__ = [
    "KNOWS_WHO_DIED",
    "OPEN",
    "RETURNED",
    "TRAVELS",
    "ForeignLease",
    "LeaseToken",
    "SharedSlab",
    "shared_slab",
    "slab_of",
]
