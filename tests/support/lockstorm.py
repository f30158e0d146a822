"""Sixteen threads that take locks in every way, and each of which writes down what it did: beside that stands what the
watch has noted.

What a thread knows for certain is what it held, in which order, when it went to take a lock with waiting. The notes
have to say the same: *nothing lost* (each such step is a note of that thread; where no renewal came between, of that
very leaf), *nothing false* (no note says another), and no lock that its own threads let go is called handed over.

No deadlock: a lock is waited for only by a thread whose locks all come before it. What is against that order is tried,
or waited for with a timeout.
"""

from __future__ import annotations

import gc
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from coresys.threads.watching import chains
from coresys.threads.watching.locks import Lock, RLock

Step = tuple[tuple[int, ...], int]  # what was held, the innermost first, and what was waited for: serial numbers

THREADS = 16
BATONS = 3


@dataclass(slots=True)
class Arena:
    """What the threads share."""

    plain: list[Any] = field(default_factory=lambda: [Lock() if each % 3 else RLock() for each in range(12)])
    batons: list[Any] = field(default_factory=lambda: [Lock() for _ in range(BATONS)])
    handed: deque[tuple[Any, object]] = field(default_factory=deque)  # taken, for another thread to let go
    conditions: list[Any] = field(init=False)
    turn: int = 0  # of the renewals: odd while one is under way
    stop: bool = False
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.conditions = [threading.Condition(lock) for lock in self.plain]


class Worker:
    """One thread, and what it knows of itself."""

    def __init__(self, arena: Arena, number: int, seed: int, operations: int) -> None:
        self.arena, self.number, self.left = arena, number, operations
        self.random = random.Random(f"{seed} {number}")
        self.held: list[int] = []  # indices, the outermost first
        self.waited: set[Step] = set()
        self.sure: dict[int, set[Step]] = {}  # by leaf: those between which and the look no renewal came
        self.by = 0
        self.done = 0
        # A thread whose lock others let go is not at the root of its tree when it holds nothing: it does not know,
        # then, which leaf it notes on.
        self.hands_over = number % 4 == 3

    def run(self) -> None:
        try:
            self.by = chains.here.me.number
            while self.done < self.left and not self.arena.stop:
                turn, leaf = self.arena.turn, chains.current.leaf
                made: set[Step] = set()
                self.nest(made, 0)
                self.waited |= made
                if turn % 2 == 0 and turn == self.arena.turn and not self.hands_over:
                    self.sure.setdefault(leaf, set()).update(made)
                self.let_go_for_another()
        except BaseException as error:
            self.arena.broken.append(f"thread {self.number}: {error!r}")
            self.arena.stop = True

    def nest(self, made: set[Step], depth: int) -> None:
        if depth > 5:
            return
        for _ in range(self.random.randrange(1, 3)):
            way = self.random.choice(WAYS)
            index = self.random.randrange(12)
            if way in _WAITING:
                low = max(self.held) + 1 if self.held else 0
                if low > 11:
                    continue
                index = self.random.randrange(low, 12)
            elif way == "again":
                again = [each for each in self.held if each % 3 == 0]
                if not again:
                    continue
                index = self.random.choice(again)
            elif index in self.held:
                continue
            self.done += 2
            getattr(self, "by_" + way)(self.arena.plain[index], index, made, depth)

    def step(self, index: int, made: set[Step]) -> None:
        """It is going to wait for this one."""
        plain = self.arena.plain
        made.add((tuple(plain[each]._ident.serial for each in reversed(self.held)), plain[index]._ident.serial))

    # Each takes the lock, goes on with it, and lets it go.

    def by_with(self, lock: Any, index: int, made: set[Step], depth: int) -> None:
        self.step(index, made)
        with lock:
            self.held.append(index)
            self.nest(made, depth + 1)
            self.held.remove(index)

    def by_acquire(self, lock: Any, index: int, made: set[Step], depth: int) -> None:
        self.step(index, made)
        lock.acquire()
        self.held.append(index)
        self.nest(made, depth + 1)
        self.held.remove(index)
        lock.release()

    def by_hand_over_hand(self, lock: Any, index: int, made: set[Step], depth: int) -> None:
        """The next one is taken before this one is let go."""
        self.by_with(lock, index, made, 9)
        if index == 11:
            return
        self.step(index, made)
        lock.acquire()
        self.held.append(index)
        after = self.random.randrange(index + 1, 12)
        self.step(after, made)
        self.arena.plain[after].acquire()
        self.held.append(after)
        self.held.remove(index)
        lock.release()
        self.done += 4
        self.nest(made, depth + 1)
        self.held.remove(after)
        self.arena.plain[after].release()

    def by_try(self, lock: Any, index: int, made: set[Step], depth: int) -> None:
        if lock.acquire(blocking=False):
            self.held.append(index)
            self.nest(made, depth + 1)
            self.held.remove(index)
            lock.release()

    def by_time(self, lock: Any, index: int, made: set[Step], depth: int) -> None:
        if lock.acquire(timeout=0.0002):
            self.held.append(index)
            self.nest(made, depth + 1)
            self.held.remove(index)
            lock.release()

    def by_again(self, lock: Any, index: int, made: set[Step], depth: int) -> None:
        with lock:
            self.nest(made, depth + 1)

    def by_condition(self, lock: Any, index: int, made: set[Step], depth: int) -> None:
        condition = self.arena.conditions[index]
        self.step(index, made)
        with condition:
            self.held.append(index)
            if self.random.random() < 0.7:
                condition.notify()
            else:
                self.wait(condition, index, made)
            self.nest(made, depth + 1)
            self.held.remove(index)

    def wait(self, condition: Any, index: int, made: set[Step]) -> None:
        """Let it go, and take it again with the others held, and one more that was tried, if it could be."""
        tried = self.random.randrange(index) if index else 0
        more = tried not in self.held and tried < index and self.arena.plain[tried].acquire(False)
        if more:
            self.held.append(tried)
        self.held.remove(index)
        self.step(index, made)
        condition.wait(0.0002)
        self.held.append(index)
        self.done += 2
        if more:
            self.held.remove(tried)
            self.arena.plain[tried].release()

    def by_baton(self, lock: Any, index: int, made: set[Step], depth: int) -> None:
        if self.hands_over:
            baton = self.random.choice(self.arena.batons)
            if baton.acquire(False):
                self.arena.handed.append((baton, self))
        self.let_go_for_another()

    def let_go_for_another(self) -> None:
        try:
            baton, owner = self.arena.handed.popleft()
        except IndexError:
            return
        if owner is self:
            self.arena.handed.append((baton, owner))
        else:
            baton.release()


_WAITING = ("with", "acquire", "hand_over_hand", "condition")
WAYS = ("with", "with", "with", "acquire", "hand_over_hand", "try", "time", "again", "condition", "baton")
_PLACES = {vars(Worker)[name].__code__ for name in ("wait", *("by_" + way for way in WAYS))}


def storm(operations: int, seed: int, meanwhile: Callable[[], object] = lambda: None) -> tuple[int, list[str]]:
    """So many operations, or some more, and what the watch made of them that is not true.

    ``meanwhile`` is called between renewals.
    """
    arena = Arena()
    workers = [Worker(arena, number, seed, operations // THREADS) for number in range(THREADS)]
    chains.renew()
    threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
    books: list[chains.Book] = []
    with switching(1e-6), roomy():
        for thread in threads:
            thread.start()
        stuck = time.monotonic() + 300
        while any(thread.is_alive() for thread in threads):
            arena.turn += 1
            books.append(chains.renew())
            arena.turn += 1
            meanwhile()
            time.sleep(0.02)
            if time.monotonic() > stuck:
                arena.stop = True
                return 0, ["it hangs"]
        books.append(chains.renew())
    return sum(worker.done for worker in workers), [*arena.broken, *complaints(arena, workers, books)]


def complaints(arena: Arena, workers: list[Worker], books: list[chains.Book]) -> list[str]:
    """What is not as the threads know it to have been."""
    batons = {baton._ident.serial for baton in arena.batons}
    found = [f"lock {lock._ident.serial} was never handed over" for lock in arena.plain if lock._ident.handed]
    found += [f"lock {lock._ident.serial} is held still" for lock in arena.plain if lock._me is not None]
    of_leaf: dict[int, dict[int, set[Step]]] = {}
    for book in books:
        if book.full:
            found.append(f"leaf {book.leaf} is full")
        for seen in book.notes():
            held = tuple(ident.serial for ident in seen.held if ident.serial not in batons)
            if held:
                of_leaf.setdefault(book.leaf, {}).setdefault(seen.by, set()).add((held, seen.ident.serial))
            if seen.place[0] not in _PLACES:
                found.append(f"{seen.ident} was taken at {seen.place}")
    for worker in workers:
        noted: set[Step] = set()
        for of_thread in of_leaf.values():
            noted |= of_thread.get(worker.by, set())
        true = {step for step in worker.waited if step[0]}
        found += [f"lost: {step} of thread {worker.number}" for step in true - noted]
        found += [f"false: {step} of thread {worker.number}" for step in noted - true]
        for leaf, steps in worker.sure.items():
            there = of_leaf.get(leaf, {}).get(worker.by, set())
            lost = {step for step in steps if step[0]} - there
            found += [f"lost from leaf {leaf}: {step} of thread {worker.number}" for step in lost]
    return found


@contextmanager
def switching(seconds: float) -> Iterator[None]:
    """Threads take turns this often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def roomy() -> Iterator[None]:
    """Each leaf keeps all of its notes."""
    before, chains.current.limit = chains.current.limit, 10_000_000
    try:
        yield
    finally:
        chains.current.limit = before


def alive() -> tuple[int, int, int]:
    """How many Parties, Chains and Idents there are."""
    gc.collect()
    objects = gc.get_objects()
    return tuple(sum(type(each) is kind for each in objects) for kind in _KINDS)  # type: ignore[return-value]


_KINDS = (chains.Party, chains.Chain, chains.Ident)
