"""A shard for each thread, so that taking note of something needs no lock.

Invariants:

- *A shard is written by one thread only*, the one whose identity it stands under in ``by_thread``. The system gives an
  identity to one thread at a time, so whoever inherits one goes on with a shard that nobody else writes any more: a
  thread that ends loses nothing.
- *A shard that was handed out is in ``all()``* from before its thread first writes until its figures are in another
  one that is. Nothing is ever reset, so looking at shards takes nothing away from whoever writes.
- *Writers change a field by loading, computing and storing it without a call in between.* CPython lets another thread
  or the handler of a signal in after calls and jumps only, and 3.10 and 3.11 finalizers where an object is made that
  the collector tracks (a tuple, a dictionary, an exception; not a number). So whatever comes in between finds a field
  before the change or after it, and writes to the same shard without harm.
- *Shards are summed up only when no thread can be writing to them*: first they are taken out of ``by_thread``, so that
  nobody finds them any more; whoever had found one before that is in the middle of a call, and has a frame.

A forked child goes on with what had been counted until then.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from coresys.frames import current_frames
from coresys.threads.atomics import AtomicReference

_FEWEST = 32  # shards that are left alone, whether their threads live or not


class Shard(Protocol):
    ident: int  # of the thread that writes to it; 0: nobody does


S = TypeVar("S", bound=Shard)


class Shards(Generic[S]):
    """The shards of one thing that is counted.

    ``make`` gets a thread's identity. ``merge`` makes one shard of several that nobody writes to, and may be called in
    vain. Whoever writes looks into ``by_thread`` himself, and calls ``mine`` where he finds nothing there.
    """

    __slots__ = ("_all", "_make", "_merge", "_most", "by_thread")

    def __init__(self, make: Callable[[int], S], merge: Callable[[Sequence[S]], S]) -> None:
        self._make, self._merge = make, merge
        self._all: AtomicReference[tuple[S, ...]] = AtomicReference(())
        self._most = _FEWEST
        self.by_thread: dict[int, S] = {}

    def mine(self) -> S:
        """The shard of this thread, which is made if there is none."""
        ident = get_ident()
        shard = self.by_thread.get(ident)
        if shard is None:
            if len(self._all.get()) >= self._most:
                self._sum_up()
            shard = self._make(ident)
            self.add(shard)
            # A handler that came by meanwhile has made another one: that stays in all(), with what it counted.
            self.by_thread[ident] = shard
        return shard

    def add(self, shard: S) -> None:
        """Take in figures from somewhere else."""
        self._all.update(lambda old: (*old, shard))

    def all(self) -> tuple[S, ...]:
        """Every shard; their sum is everything that was ever counted."""
        return self._all.get()

    def _sum_up(self) -> None:
        """Make one of all shards whose threads have ended."""
        alive = current_frames().keys()
        for ident in tuple(self.by_thread):
            if ident not in alive:  # or it is idle, outside of Python: it gets another one then
                self.by_thread.pop(ident, None)
        # In this order: a shard that is made from here on is no candidate, and a thread that has yet to put a
        # candidate into by_thread is in the middle of mine(), where it has a frame.
        candidates = self._all.get()
        alive = current_frames().keys()
        ended = {id(each) for each in candidates if each.ident not in alive}
        ended -= {id(each) for each in tuple(self.by_thread.values())}

        def summed_up(old: tuple[S, ...]) -> tuple[S, ...]:
            # By identity: ``candidates`` keeps each of them alive, so no other can have its number.
            done = [each for each in old if id(each) in ended]
            if len(done) < 2:
                return old
            return (self._merge(done), *(each for each in old if id(each) not in ended))

        self._most = max(_FEWEST, 2 * len(self._all.update(summed_up)))

    def __repr__(self) -> str:
        return f"<Shards: {len(self.all())}, of {len(self.by_thread)} threads>"


__all__ = ["Shard", "Shards"]
