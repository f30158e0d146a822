"""Models that Hypothesis walks through: what a thread may take next, and in what order a pool runs what waits."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from threads_helping import PATIENCE, no_threads_left  # noqa: F401  # autouse

from coresys.errors.hierarchy import LockClosedError, LockOrderError, LockOwnershipError
from coresys.threads import LockHierarchy, OrderedLock, OrderedRLock, ThreadManager, ThreadPool, held_locks

RANKS = {
    "first": LockHierarchy("first", ["a", "b", "c"], same={"b": "ascending", "c": "one"}),
    "second": LockHierarchy("second", ["x", "y"]),
}
LOCKS = 10
SETTINGS = settings(max_examples=40, stateful_step_count=40, deadline=None)


class LocksOfOneThread(RuleBasedStateMachine):
    """One thread takes and leaves locks in any order; the model is a list of what it holds, with how often."""

    @initialize()
    def make(self) -> None:
        first, second = RANKS["first"], RANKS["second"]
        self.locks: list[OrderedLock] = [
            OrderedLock(first["a"]),
            OrderedRLock(first["a"]),
            OrderedLock(first["b"]),
            OrderedLock(first["b"]),
            OrderedLock(first["c"]),
            OrderedLock(first["c"]),
            OrderedLock(second["x"]),
            OrderedRLock(second["y"]),
            OrderedLock(),
            OrderedRLock(),
        ]
        self.held: list[list[int]] = []  # lock and how often, in the order they were taken in
        self.taken = [0] * LOCKS

    def allowed(self, wanted: int) -> bool:
        lock = self.locks[wanted]
        if any(number == wanted for number, _ in self.held):
            return isinstance(lock, OrderedRLock)
        if lock.rank is None:
            return True
        for number, _ in reversed(self.held):
            other = self.locks[number]
            if other.rank is None or other.rank.hierarchy != lock.rank.hierarchy:
                continue
            same = other.rank.index == lock.rank.index and lock.rank.same == "ascending" and other.serial < lock.serial
            return other.rank.index < lock.rank.index or same
        return True

    @rule(wanted=st.integers(0, LOCKS - 1), way=st.sampled_from(["enter", "acquire", "try", "within"]))
    def take(self, wanted: int, way: str) -> None:
        lock, allowed = self.locks[wanted], self.allowed(wanted)
        ways: dict[str, Any] = {
            "enter": lock.__enter__,
            "acquire": lock.acquire,
            "try": partial(lock.acquire, blocking=False),
            "within": lambda: lock.within(1).__enter__(),
        }
        try:
            ways[way]()
        except LockOrderError:
            assert not allowed
            return
        assert allowed
        again = [entry for entry in self.held if entry[0] == wanted]
        if again:
            again[0][1] += 1
        else:
            self.held.append([wanted, 1])
            self.taken[wanted] += 1

    @rule(wanted=st.integers(0, LOCKS - 1), by_exit=st.booleans())
    def leave(self, wanted: int, by_exit: bool) -> None:
        lock = self.locks[wanted]
        entry = next((entry for entry in self.held if entry[0] == wanted), None)
        if entry is None:
            try:
                lock.release()
            except LockOwnershipError:
                return
            raise AssertionError("what is not held was let go")
        if by_exit:
            lock.__exit__(None, None, None)
        else:
            lock.release()
        entry[1] -= 1
        if not entry[1]:
            self.held.remove(entry)

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "locks"):
            return
        held = {number for number, _ in self.held}
        assert {number for number, lock in enumerate(self.locks) if lock.owned()} == held
        assert held_locks() == tuple(self.locks[number].name for number, _ in self.held)
        assert [lock.acquired for lock in self.locks] == self.taken

    def teardown(self) -> None:
        for number, times in reversed(getattr(self, "held", [])):
            for _ in range(times):
                self.locks[number].release()


class QueuesOfAPool(RuleBasedStateMachine):
    """A pool whose one worker is held up while tasks are submitted and cancelled; then it runs what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = ThreadPool(1)
        self.begin()

    def begin(self) -> None:
        self.ran: list[int] = []
        self.submitted: list[tuple[int, Any, int, str | None]] = []
        self.gate, inside = threading.Event(), threading.Event()

        def block() -> None:
            inside.set()
            self.gate.wait(PATIENCE)

        self.blocker = self.pool.submit(block)
        assert inside.wait(PATIENCE)

    @rule(level=st.integers(0, 2), channel=st.sampled_from([None, None, "c", "d"]))
    def submit(self, level: int, channel: str | None) -> None:
        number = len(self.submitted)
        name = ("system", "processing", "monitoring")[level]
        future = self.pool.submit_with(partial(self.ran.append, number), priority=name, channel=channel)
        self.submitted.append((number, future, level, channel))

    @precondition(lambda self: self.submitted)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.submitted) - 1))
        assert self.submitted[number][1].cancel()

    @invariant()
    def what_is_queued_is_counted(self) -> None:
        levels = [level for _, future, level, _ in self.submitted if not future.cancelled()]
        assert self.pool.statistics().queued == (levels.count(0), levels.count(1), levels.count(2))

    @rule()
    def run(self) -> None:
        self.gate.set()
        self.blocker.result(PATIENCE)
        left = [entry for entry in self.submitted if not entry[1].cancelled()]
        for _, future, _, _ in left:
            future.result(PATIENCE)
        assert sorted(self.ran) == [number for number, _, _, _ in left]
        for channel in ("c", "d"):
            numbers = [number for number, _, _, name in left if name == channel]
            assert [number for number in self.ran if number in numbers] == numbers
        for level in range(3):
            numbers = [number for number, _, its, name in left if its == level and name is None]
            assert [number for number in self.ran if number in numbers] == numbers
        self.begin()

    def teardown(self) -> None:
        self.gate.set()
        self.pool.shutdown()
        figures = self.pool.statistics()
        assert figures.submitted == figures.completed + figures.cancelled


class AManager(RuleBasedStateMachine):
    """A manager whose locks are made, taken, dropped and closed, and which runs tasks that take them; the model is what
    each lock was taken, and what each task has to have become."""

    RANKS = ("outer", "inner")
    KINDS = ("lock", "sampled", "rlock", "condition", "reading", "writing")

    def __init__(self) -> None:
        super().__init__()
        self.threads = ThreadManager(pool=ThreadPool(2), hierarchy=LockHierarchy("model", self.RANKS))
        # Each lock that is in use: itself, its kind, its rank, and how often it was taken.
        self.locks: dict[str, tuple[Any, str, int, int]] = {}
        self.made = self.submitted = self.failed = 0
        self.closed = False

    def context(self, name: str) -> Any:
        lock, kind, _, _ = self.locks[name]
        return lock.reading() if kind == "reading" else lock.writing() if kind == "writing" else lock

    def count(self, name: str, times: int = 1) -> None:
        lock, kind, rank, taken = self.locks[name]
        self.locks[name] = (lock, kind, rank, taken + times)

    @rule(kind=st.sampled_from(KINDS), rank=st.integers(0, 1))
    def make(self, kind: str, rank: int) -> None:
        name = f"{self.made:03}"
        self.made += 1
        ways: dict[str, Any] = {
            "lock": self.threads.lock,
            "sampled": partial(self.threads.lock, sample_every=2),
            "rlock": self.threads.rlock,
            "condition": self.threads.condition,
        }
        made = ways.get(kind, self.threads.read_write_lock)(self.RANKS[rank], name=name)
        self.locks[name] = (made, kind, rank, 0)

    @precondition(lambda self: self.locks)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        del self.locks[data.draw(st.sampled_from(sorted(self.locks)))]
        with OrderedLock():  # or this thread's list would keep it as well
            pass

    @precondition(lambda self: self.locks)
    @rule(data=st.data(), by_task=st.booleans())
    def take(self, data: st.DataObject, by_task: bool) -> None:
        first, second = (data.draw(st.sampled_from(sorted(self.locks))) for _ in range(2))
        if by_task and self.closed:
            return

        def take() -> str:
            try:
                with self.context(first):
                    assert held_locks() == (first,)
                    try:
                        with self.context(second):
                            return "both"
                    except LockOrderError:
                        return "first"
            except LockClosedError:
                return "none"

        if by_task:
            self.submitted += 1
        got = self.threads.submit(take).result(PATIENCE) if by_task else take()
        # A condition's own lock may be taken again, and who reads may read again.
        again = first == second and self.locks[first][1] in ("rlock", "condition", "reading")
        allowed = again or self.locks[first][2] < self.locks[second][2]
        assert got == ("none" if self.closed else "both" if allowed else "first")
        if not self.closed:
            self.count(first)
            if allowed and not again:
                self.count(second)

    @precondition(lambda self: not self.closed)
    @rule(fails=st.booleans(), channel=st.sampled_from([None, "c"]), level=st.sampled_from(["system", "monitoring"]))
    def run(self, fails: bool, channel: str | None, level: str) -> None:
        function = partial(int, "x" if fails else "7")
        future = self.threads.submit_with(function, priority=level, channel=channel)
        assert (future.exception(PATIENCE) is not None) == fails
        self.submitted += 1
        self.failed += fails

    @rule(times=st.integers(1, 2))
    def shut_down(self, times: int) -> None:
        for _ in range(times):
            self.threads.shutdown()
        self.closed = True

    @precondition(lambda self: self.closed)
    @rule()
    def submit_in_vain(self) -> None:
        with pytest.raises(RuntimeError, match="after shutdown"):
            self.threads.submit(int)

    @invariant()
    def it_lists_what_the_model_has(self) -> None:
        listed = self.threads.locks()
        assert [lock.name for lock in listed] == [lock.name for lock in sorted(listed, key=lambda x: (x.rank, x.name))]
        seen = {lock.name: (lock.rank, lock.acquired) for lock in listed}
        # A lock that was dropped is listed for as long as it stands in the list of a worker that took it last.
        assert {name: seen.pop(name) for name in self.locks} == {
            name: (rank, taken) for name, (_, _, rank, taken) in self.locks.items()
        }
        assert len(seen) <= 2 * self.threads.statistics().workers
        assert all(lock.holder is None for lock in listed)
        assert self.threads.contention() == ()
        figures = self.threads.statistics()
        assert (figures.submitted, figures.completed, figures.failed) == (self.submitted, self.submitted, self.failed)
        assert figures.workers == 0 or not self.closed

    def teardown(self) -> None:
        self.threads.shutdown()


TestLocksOfOneThread = pytest.mark.slow(LocksOfOneThread.TestCase)
TestLocksOfOneThread.settings = SETTINGS
TestQueuesOfAPool = pytest.mark.slow(QueuesOfAPool.TestCase)
TestQueuesOfAPool.settings = SETTINGS
TestAManager = pytest.mark.slow(AManager.TestCase)
TestAManager.settings = SETTINGS
