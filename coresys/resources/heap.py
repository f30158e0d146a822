"""What owners hold on the heap: measured, where that can be known, and said not to be where it cannot.

Nothing in the interpreter says whose an object is. There are two ways to know, and each says what it is worth:

- *roots*: an owner says where what it holds begins (``roots``), and all that can be reached from there is sized. It can
  be asked at any time; what others hold too is counted, and what C extensions do not tell of is not.
- *blocks*: what the allocators have more in use after ``with block(owner):`` than before is the owner's: to the byte,
  extensions and mappings included, but for what it lets go of outside of its blocks. The counters are those of the
  whole process; so a block is measured only where no other thread used the processor meanwhile. How that is known: the
  time of the processor that the process used, less that of this thread.

Blocks are for one thread at a time, are left in the order they were entered in, and must not ``await``: what is within
an inner block of another owner is that owner's alone.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from coresys.errors.hierarchy import HeapLimitError
from coresys.forks import renew_in_children
from coresys.measure import meters
from coresys.measure.sizes import reachable_size
from coresys.resources.tiers import KIB
from coresys.system_records import HeapUsage

DEFAULT_LIMIT = 500 * KIB
_NEAR = 0.9
_UNNOTICED = 10e-6  # seconds of others: what reading two clocks one after the other comes to, seldom
_READS = 3


def _time_of_others() -> float:
    """Seconds of the processor that other threads of this process have used."""
    # What comes between the two readings makes it less: the largest is the best.
    return max(time.process_time() - time.thread_time() for _ in range(_READS))


def _count_of_threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


class _Account:
    __slots__ = ("blocks", "held", "limit", "most", "reserve", "roots", "why")

    def __init__(self, limit: int | None) -> None:
        self.limit, self.reserve = limit, 0
        self.held = self.most = self.blocks = 0
        self.roots: list[Callable[[], Any]] = []
        self.why: str | None = None  # not measured


class _Block:
    """One that is open: what those within it took is not its own."""

    __slots__ = ("inner", "unknown")

    def __init__(self) -> None:
        self.inner, self.unknown = 0, False


class HeapAccounts:
    """Accounts of what owners hold on the heap, each with a limit and a reserve.

    >>> heap = HeapAccounts(limit=64 * 1024)
    >>> kept = []
    >>> with heap.block("cache"):
    ...     kept.append(bytearray(16 * 1024))
    >>> heap.usage("cache").verdict, heap.usage("cache").held > 16 * 1024
    ('within', True)

    ``limit``: of an owner for whom nothing else was said, in bytes; None: no limit. ``whole``: what all owners may hold
    together; of that their reserves are kept for them. Limits are looked at before a block is entered: an owner that
    is over its own, or would take of what is kept for others, gets HeapLimitError then. What it takes within a block
    nobody can refuse it; that it is over its limit is told after. ``read``: bytes in use by this process.
    """

    def __init__(
        self,
        *,
        limit: int | None = DEFAULT_LIMIT,
        whole: int | None = None,
        read: Callable[[], int] | None = None,
        time_of_others: Callable[[], float] = _time_of_others,
        count_of_threads: Callable[[], int] = _count_of_threads,
    ) -> None:
        self._limit, self._whole, self._given_read = limit, whole, read
        self._time_of_others, self._count_of_threads = time_of_others, count_of_threads
        self._meter: meters.MemoryMeter | None = None
        self._empty: dict[bool, int] = {}  # what an empty block seems to take
        self._accounts: dict[str, _Account] = {}
        self._open = threading.local()
        renew_in_children(self, HeapAccounts._renew)

    def _account(self, owner: str) -> _Account:
        return self._accounts.get(owner) or self._accounts.setdefault(owner, _Account(self._limit))

    def limit(self, owner: str, limit: int | None, reserve: int = 0) -> None:
        """What an owner may hold, in bytes, and what of the whole is kept for it.

        Raises HeapLimitError where the reserves of all do not fit, or are more than the limit; then nothing changed.
        """
        others = sum(each.reserve for name, each in tuple(self._accounts.items()) if name != owner)
        if limit is not None and reserve > limit:
            raise HeapLimitError(owner=owner, held=0, limit=limit, why=f"a reserve of {reserve} above the limit")
        if self._whole is not None and others + reserve > self._whole:
            why = f"a reserve of {reserve} does not fit beside the {others} that are reserved for others"
            raise HeapLimitError(owner=owner, held=0, limit=self._whole, why=why)
        account = self._account(owner)
        account.limit, account.reserve = limit, reserve

    def roots(self, owner: str, *find: Callable[[], Any]) -> None:
        """Where what an owner holds begins: called whenever it is measured. They take the place of blocks."""
        self._account(owner).roots.extend(find)

    def _read(self) -> int:
        if self._given_read is not None:
            return self._given_read()
        if self._meter is None:
            self._meter = meters.MemoryMeter()
        return self._meter.read().in_use

    def block(self, owner: str, *, collect: bool = True) -> AbstractContextManager[None]:
        """What is taken within, and there still at its end, is the owner's.

        ``collect``: garbage first, at both ends, or cycles that nobody holds are taken for held. Raises HeapLimitError
        before anything is done.
        """
        if collect not in self._empty and self._given_read is None:
            self._empty[collect] = 0
            empty = _Account(None)
            for _ in range(_READS):  # the first makes what later ones use again
                empty.held = 0
                with self._block("", empty, collect):
                    pass
            self._empty[collect] = empty.held
        return self._block(owner, self._account(owner), collect)

    @contextmanager
    def _block(self, owner: str, account: _Account, collect: bool) -> Iterator[None]:
        self._check(owner, account)
        stack: list[_Block] = self._open.__dict__.setdefault("stack", [])
        block = _Block()
        problem: str | None = None
        try:
            before = self._read()  # what is made when it is first read is nobody's
            if collect:
                meters.collect()
            threads, others = self._count_of_threads(), self._time_of_others()
            before = self._read()
        except NotImplementedError as error:
            threads, others, before, problem = 1, 0.0, 0, str(error)
        stack.append(block)
        try:
            yield
        finally:
            is_last = stack[-1] is block
            stack.remove(block)
            if collect:
                meters.collect()
            taken = 0 if problem else self._read() - before - self._empty.get(collect, 0)
            elapsed = self._time_of_others() - others
            if problem is None and not is_last:
                problem = "blocks were not left in the order they were entered in"
            # A thread that came and went within the block is the block's own.
            if problem is None and elapsed > _UNNOTICED and max(threads, self._count_of_threads()) > 1:
                problem = f"other threads ran for {elapsed * 1000:.3g} ms meanwhile"
            if problem is None and block.unknown:
                problem = "a block of another owner within it was not measured"
            self._charge(account, taken - block.inner, problem)
            if stack:
                stack[-1].inner += taken
                stack[-1].unknown = stack[-1].unknown or problem is not None

    def _check(self, owner: str, account: _Account) -> None:
        held = self._held(account)
        if account.limit is not None and held > account.limit:
            raise HeapLimitError(owner=owner, held=held, limit=account.limit, why="its limit")
        if self._whole is None or held < account.reserve:
            return
        others = [each for each in tuple(self._accounts.values()) if each is not account]
        used = sum(max(self._held(each), each.reserve) for each in others)
        if used + held >= self._whole:
            kept = sum(max(each.reserve - self._held(each), 0) for each in others)
            why = f"all together, with {kept} that are kept for others"
            raise HeapLimitError(owner=owner, held=used + held, limit=self._whole, why=why)

    def _charge(self, account: _Account, taken: int, problem: str | None) -> None:
        account.blocks += 1
        if problem is not None:
            account.why = account.why or f"block {account.blocks}: {problem}"
            return
        account.held += taken
        account.most = max(account.most, account.held)

    def _held(self, account: _Account) -> int:
        if account.roots:
            size = reachable_size([find() for find in account.roots])
            account.most = max(account.most, size)
            return size
        return max(account.held, 0)

    def usage(self, owner: str) -> HeapUsage:
        """What an owner holds, where that is known, and may hold."""
        account = self._accounts.get(owner) or _Account(self._limit)
        known = self._held(account)
        if account.roots:
            return self._verdict(owner, account, known, "roots", None)
        why = account.why if account.blocks else "nothing was measured: it has no roots, and entered no block"
        return self._verdict(owner, account, known, "blocks" if account.blocks else "", why)

    def _verdict(self, owner: str, account: _Account, known: int, method: str, why: str | None) -> HeapUsage:
        limit = account.limit
        most = max(account.most, known)
        if limit is not None and most > limit:
            verdict = "over"  # what is known alone is too much
        elif why is not None:
            verdict = "not_measured"
        else:
            verdict = "near" if limit and most >= _NEAR * limit else "within"
        held = None if why is not None else known
        return HeapUsage(owner, held, known, most, limit, account.reserve, method, verdict, why)

    def owners(self) -> tuple[str, ...]:
        """Those of whom anything is known or was said."""
        return tuple(self._accounts)

    def forget(self, owner: str) -> None:
        """Its account is closed; roots and limits go with it."""
        self._accounts.pop(owner, None)

    def _renew(self) -> None:
        """In a forked child: the meter is of the parent's counters."""
        self._meter = None
        self._empty.clear()
        self._open = threading.local()


__all__ = ["DEFAULT_LIMIT", "HeapAccounts"]
