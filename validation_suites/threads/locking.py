"""What is measured of locks with an order: refusals, storms, circles, timeouts. Each function returns the faults it
finds, in words, or seconds."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from time import perf_counter
from typing import Any

from coresys.errors.hierarchy import DeadlockError, LockOrderError, LockTimeoutError
from validation_suites.running import PATIENCE, Runner, in_words
from validation_suites.threads.racing import NEVER, Lock, MakesLocks

RANKS = ("service", "registry", "channel", "session", "journal", "statistics")
_MOST_TOLD = 20  # faults of one kind: the first say what is wrong


# -- the order -------------------------------------------------------------------------------------------------------


def taken_by_with(lock: Lock) -> None:
    """Taken, and let go."""
    with lock:
        pass


def _by_acquire(lock: Lock) -> None:
    lock.acquire()
    lock.release()


def _by_timeout(lock: Lock) -> None:
    lock.acquire(timeout=PATIENCE)
    lock.release()


def _by_trying(lock: Lock) -> None:
    if lock.acquire(False):
        lock.release()


def _through_calls(lock: Lock, depth: int = 3) -> None:
    """As a callee of a callee does, that knows nothing of what its callers hold."""
    if depth:
        _through_calls(lock, depth - 1)
    else:
        taken_by_with(lock)


WAYS: dict[str, Callable[[Lock], None]] = {
    "with": taken_by_with,
    "acquire()": _by_acquire,
    "acquire(timeout)": _by_timeout,
    "acquire(False)": _by_trying,
    "through calls": _through_calls,
}


def order_faults(manager: MakesLocks, ranks: Sequence[str] = RANKS) -> list[str]:
    """Every pair of ranks the right and the wrong way round, in every way; the middle one of three under both; and two
    of one rank one after the other, which have no order."""
    locks = [manager.lock(rank, name=rank) for rank in ranks]
    others = [manager.lock(rank, name=f"another {rank}") for rank in ranks]
    faults: list[str] = []
    for name, take in WAYS.items():
        for outer, inner in combinations(range(len(ranks)), 2):
            faults += _granted([locks[outer]], locks[inner], take, f"{ranks[inner]} under {ranks[outer]}, {name}")
            faults += _refused([locks[inner]], locks[outer], take, f"{ranks[outer]} under {ranks[inner]}, {name}")
        for rank, one, other in zip(ranks, locks, others, strict=True):
            faults += _refused([one], other, take, f"another {rank} under {rank}, {name}")
        for first, middle, last in combinations(range(len(ranks)), 3):
            held = f"under {ranks[first]} and {ranks[last]}, {name}"
            faults += _refused([locks[first], locks[last]], locks[middle], take, f"{ranks[middle]} {held}")
            held = f"under {ranks[first]} and {ranks[middle]}, {name}"
            faults += _granted([locks[first], locks[middle]], others[last], take, f"{ranks[last]} {held}")
    for rank, lock in zip(ranks, locks, strict=True):
        faults += _granted([], lock, _by_trying, f"{rank}, when all were let go")
    return faults


def _attempt(held: Sequence[Lock], wanted: Lock, take: Callable[[Lock], None]) -> Exception | None:
    """What came of it, in a thread that holds these, the first of them outermost."""
    taken: list[Lock] = []
    try:
        for lock in held:
            lock.acquire()
            taken.append(lock)
        take(wanted)
    except Exception as error:
        return error.with_traceback(None)
    finally:
        for lock in reversed(taken):
            lock.release()
    return None


def _granted(held: Sequence[Lock], wanted: Lock, take: Callable[[Lock], None], what: str) -> list[str]:
    error = _attempt(held, wanted, take)
    return [] if error is None else [f"{what}: {in_words(error)}"]


def _refused(held: Sequence[Lock], wanted: Lock, take: Callable[[Lock], None], what: str) -> list[str]:
    error = _attempt(held, wanted, take)
    if isinstance(error, LockOrderError):
        return []
    return [f"{what}: {'let through' if error is None else in_words(error)}"]


def read_write_faults(lock: Any, patience: float = PATIENCE) -> list[str]:
    """Of a lock for many readers or one writer: a reader that another one keeps out, and a writer that comes in while
    somebody reads or writes, or does not when they have left."""
    faults: list[str] = []

    def enters(side: Callable[[float], Any], seconds: float) -> bool:
        def enter() -> bool:
            try:
                with side(seconds):
                    return True
            except LockTimeoutError:
                return False

        runner = Runner(enter)
        runner.join(patience + seconds)
        if runner.is_alive() or runner.problem is not None:
            faults.append(f"a wait for it {'hangs' if runner.is_alive() else f'raised {runner.problem}'}")
        return runner.value is True

    with lock.reading():
        if not enters(lock.reading, patience):
            faults.append("a reader keeps another out")
        if enters(lock.writing, 0.05):
            faults.append("a writer came in while somebody read")
    with lock.writing():
        if enters(lock.reading, 0.05):
            faults.append("a reader came in while somebody wrote")
        if enters(lock.writing, 0.05):
            faults.append("a writer came in while another one wrote")
    if not enters(lock.writing, patience):
        faults.append("a writer is kept out by nobody")
    return faults


def waits_for_ever(lock: Lock, patience: float = PATIENCE) -> bool:
    """Whether a wait for a lock that another thread has does not end by its timeout. It is over when that lets go."""
    waiting = Runner(lambda: lateness(lock))
    waiting.join(patience)
    return waiting.is_alive()


# -- a storm ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Marked:
    """A lock, and who is inside by a plain attribute: two at once are seen as one that finds the other's mark."""

    lock: Lock
    name: str
    by: int = 0
    twice: int = 0

    def enter(self) -> None:
        self.twice += self.by != 0
        self.by = threading.get_ident()

    def leave(self) -> None:
        self.twice += self.by != threading.get_ident()
        self.by = 0


@dataclass(slots=True)
class Storm:
    """What came of one. ``missed`` are orders let through or refused wrongly, ``still`` threads that went no further,
    ``twice`` how often two were in one lock at once."""

    taken: int = 0
    refused: int = 0
    missed: list[str] = field(default_factory=list)
    still: list[str] = field(default_factory=list)
    twice: int = 0


def storm(
    manager: MakesLocks,
    seconds: float,
    *,
    ranks: Sequence[str] = RANKS,
    threads: int = 8,
    each: int = 3,
    patience: float = PATIENCE,
    seed: int = 0,
) -> Storm:
    """Threads nest one to four locks at random until the time is over, now and then the wrong way round.

    A lock that is not had within ``patience`` is taken for a deadlock: nobody keeps one for longer than a few lines.
    """
    marks = [
        [_Marked(manager.lock(rank, name=f"{rank}-{number}"), f"{rank}-{number}") for number in range(each)]
        for rank in ranks
    ]
    ended = time.monotonic() + seconds
    results = [Storm() for _ in range(threads)]

    def nest(chosen: list[_Marked], mine: Storm) -> None:
        if not chosen:
            return
        first, *rest = chosen
        if not first.lock.acquire(timeout=patience):
            raise TimeoutError(f"{first.name} was not to be had within {patience} s")
        mine.taken += 1
        try:
            first.enter()
            try:
                nest(rest, mine)
            finally:
                first.leave()
        finally:
            first.lock.release()

    def work(number: int) -> None:
        dice, mine = random.Random(seed + number), results[number]
        while time.monotonic() < ended and len(mine.missed) < _MOST_TOLD and not mine.still:
            at = sorted(dice.sample(range(len(ranks)), dice.randint(1, 4)))
            chosen = [dice.choice(marks[rank]) for rank in at]
            wrong = len(chosen) > 1 and dice.random() < 0.05
            _note(mine, chosen[::-1] if wrong else chosen, wrong, nest)

    runners = [Runner(lambda number=number: work(number)) for number in range(threads)]  # type: ignore[misc]
    for runner in runners:
        runner.join(max(ended + 2 * patience - time.monotonic(), 0.0))
    hanging = sum(runner.is_alive() for runner in runners)
    whole = Storm(twice=sum(mark.twice for row in marks for mark in row))
    for result in results:
        whole.taken += result.taken
        whole.refused += result.refused
        whole.missed += result.missed
        whole.still += result.still
    whole.still += [f"{hanging} of {threads} threads hang"] if hanging else []
    whole.missed += [runner.problem for runner in runners if runner.problem is not None]
    return whole


def _note(mine: Storm, chosen: list[_Marked], wrong: bool, nest: Callable[[list[_Marked], Storm], None]) -> None:
    names = " > ".join(each.name for each in chosen)
    try:
        nest(chosen, mine)
    except LockOrderError as error:
        if wrong:
            mine.refused += 1
        else:
            mine.missed.append(f"{names} is in order, and was refused: {in_words(error)}")
    except (LockTimeoutError, DeadlockError, TimeoutError) as error:
        mine.still.append(in_words(error))
    except Exception as error:
        mine.missed.append(f"{names}: {in_words(error)}")
    else:
        if wrong:
            mine.missed.append(f"{names} is out of order, and was let through")


# -- circles ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Circle:
    """What came of threads that wait for one another in a ring: seconds until one was told, and what was wrong."""

    seconds: float
    faults: list[str]


def circle(make: Callable[[str], Lock], size: int, patience: float = PATIENCE) -> Circle:
    """Threads that hold a lock each and ask for the next one's. DeadlockError has to name all of them, once."""
    ring = [make(f"ring-{number}") for number in range(size)]
    together = threading.Barrier(size)
    asking = [0.0] * size
    told: list[tuple[float, DeadlockError]] = []

    def work(number: int) -> None:
        with ring[number]:
            together.wait(patience)
            asking[number] = perf_counter()
            following = ring[(number + 1) % size]
            try:
                # With a timeout a circle would be left to the timeout: without one, as people write it.
                with following:
                    pass
            except DeadlockError as error:
                told.append((perf_counter(), error))

    runners = [Runner(lambda number=number: work(number)) for number in range(size)]  # type: ignore[misc]
    deadline = time.monotonic() + patience
    for runner in runners:
        runner.join(max(deadline - time.monotonic(), 0.0))
    faults = [runner.problem for runner in runners if runner.problem is not None]
    if any(runner.is_alive() for runner in runners):
        faults.append(f"a ring of {size} threads hangs")
    if len(told) != 1:
        faults.append(f"a ring of {size} threads: {len(told)} of them were told")
    faults += [fault for _, error in told for fault in _unnamed(error, size)]
    seconds = min((moment for moment, _ in told), default=NEVER) - max(asking)
    return Circle(seconds if told and not faults else NEVER, faults)


def _unnamed(error: DeadlockError, size: int) -> list[str]:
    """What its error does not say: each thread, each lock, and where both stand."""
    locks = {lock for _, lock, _ in error.cycle}
    if len(error.cycle) != size or len(locks) != size:
        return [f"a ring of {size} threads: its error names {sorted(locks)}"]
    if len(error.sites) != size or not all(":" in place for pair in error.sites for place in pair):
        return [f"a ring of {size} threads: its error does not say where each stands: {error.sites}"]
    return []


# -- timeouts --------------------------------------------------------------------------------------------------------


def lateness(lock: Lock, timeout: float = 0.002) -> float:
    """Seconds by which the error comes late, of a lock that another thread holds. An error that does not name who holds
    it, and where that one took it, is as if it had never come."""
    began = perf_counter()
    try:
        taken = lock.acquire(timeout=timeout)
    except LockTimeoutError as error:
        late = perf_counter() - began - timeout
        return max(late, 0.0) if error.holder and ":" in (error.holder_site or "") else NEVER
    except Exception:
        return NEVER
    if taken:
        lock.release()
    return NEVER


class HandOff:
    """Passes a lock from one thread to the calling one, again and again: each call is one hand-off, in seconds."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._go, self._held = threading.Semaphore(0), threading.Semaphore(0)
        self._ended = False
        self._let_go = 0.0
        self._runner = Runner(self._run)

    def _run(self) -> None:
        while True:
            self._go.acquire()
            if self._ended:
                return
            with self._lock:
                self._held.release()
                time.sleep(0.0003)  # so that it is waited for by then; if not, the hand-off is the shorter
                self._let_go = perf_counter()

    def __call__(self) -> float:
        self._go.release()
        if not self._held.acquire(timeout=PATIENCE):
            return NEVER
        with self._lock:
            now = perf_counter()
        return max(now - self._let_go, 0.0)

    def end(self) -> None:
        """No more."""
        self._ended = True
        self._go.release()
        self._runner.join(PATIENCE)
