"""Ordered locks: owners, deadlines, deadlocks, closing, figures, and what does not survive a fork or a copy."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from threads_helping import PATIENCE, ROOT, Runner, child, no_threads_left, stormy, together  # noqa: F401  # fixtures

from coresys.errors.hierarchy import (
    DeadlockError,
    LockClosedError,
    LockOrderError,
    LockOwnershipError,
    LockTimeoutError,
)
from coresys.testing.ordering import Ordering
from coresys.threads import (
    Guarded,
    LockHierarchy,
    OrderedCondition,
    OrderedLock,
    OrderedRLock,
    ReadWriteLock,
    SampledLock,
    acquire_all,
    guarded_by,
    held_locks,
)
from coresys.threads import waits as waits_module

H = LockHierarchy("h", ["outer", "inner"])


class Holding:
    """A lock that another thread holds until told."""

    def __init__(self, context: Any, name: str = "the other") -> None:
        self.taken, self.leave = threading.Event(), threading.Event()
        self.context = context
        self.runner = Runner(self.hold, name)
        assert self.taken.wait(PATIENCE)

    def hold(self) -> None:
        with self.context:
            self.taken.set()
            assert self.leave.wait(PATIENCE)

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave.set()
        self.runner.finish()


class Reading:
    """Reading, by whatever thread enters it: what ``lock.reading()`` returns belongs to the thread that calls it."""

    def __init__(self, lock: ReadWriteLock) -> None:
        self.lock = lock

    def __enter__(self) -> None:
        self.lock.reading().__enter__()

    def __exit__(self, *exc: object) -> None:
        self.lock.reading().__exit__(None, None, None)


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread is about to do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.0005)


# -- owners ----------------------------------------------------------------------------------------------------------


def test_a_lock_is_held_inside_its_block_and_free_after_it() -> None:
    lock = OrderedLock(H["outer"], name="orders")
    assert repr(lock) == "<OrderedLock orders (h.outer): free>"
    with lock as entered:
        assert entered is lock
        assert lock.locked()
        assert lock.holder() == "MainThread"
        assert held_locks() == ("orders",)
        assert repr(lock) == "<OrderedLock orders (h.outer): held by MainThread>"
        lock.assert_held()
    assert held_locks() == ()
    assert not lock.locked()
    assert lock.holder() is None


def test_a_block_that_raises_lets_its_lock_go() -> None:
    lock = OrderedLock()
    with pytest.raises(ZeroDivisionError), lock:
        _ = 1 / 0
    assert not lock.locked()


@pytest.mark.parametrize("kind", [OrderedLock, OrderedRLock, SampledLock])
def test_only_the_holder_may_let_a_lock_go(kind: type[OrderedLock]) -> None:
    lock = kind(name="orders")
    with pytest.raises(LockOwnershipError, match="holder: nobody"):
        lock.release()
    with Holding(lock):
        with pytest.raises(LockOwnershipError, match=r"release needs lock 'orders'.*holder: the other") as refused:
            lock.release()
        assert (refused.value.thread, refused.value.holder) == ("MainThread", "the other")
        with pytest.raises(LockOwnershipError):
            lock.assert_held()
        assert lock.locked()


def test_a_re_entrant_lock_is_free_when_it_was_let_go_as_often() -> None:
    lock, inner = OrderedRLock(H["outer"]), OrderedLock(H["inner"])
    with lock:
        with inner, lock:
            assert lock.acquire()
            assert lock.acquire(blocking=False)
        lock.release()
        lock.release()
        assert lock.owned()
    assert not lock.locked()
    with pytest.raises(LockOwnershipError):
        lock.release()


def test_a_lock_without_waiting_says_whether_it_was_free() -> None:
    lock = OrderedLock()
    with Holding(lock):
        assert lock.acquire(blocking=False) is False
    assert lock.acquire(blocking=False) is True
    lock.release()


# -- deadlines -------------------------------------------------------------------------------------------------------


def _by_acquire(lock: OrderedLock) -> None:
    lock.acquire(timeout=0.01)


def _by_within(lock: OrderedLock) -> None:
    with lock.within(0.01):
        pytest.fail("it was held")


def _together(lock: OrderedLock) -> None:
    with acquire_all(lock, timeout=0.01):
        pytest.fail("it was held")


@pytest.mark.parametrize("way", [_by_acquire, _by_within, _together])
def test_a_timeout_names_the_holder_its_place_and_what_the_waiter_holds(way: Callable[[OrderedLock], None]) -> None:
    lock, mine = OrderedLock(H["inner"], name="orders"), OrderedLock(H["outer"], name="mine")
    with Holding(lock), mine:
        with pytest.raises(LockTimeoutError) as late:
            way(lock)
        error = late.value
        assert error.lock == "orders"
        assert error.holder == "the other"
        assert error.holder_site is not None
        assert error.holder_site.startswith(__file__)
        assert error.holding == ("mine",)
        assert 0.01 <= error.waited < PATIENCE
        assert isinstance(error, TimeoutError)
        assert "held by the other, acquired at" in str(error)
        assert mine.owned()
    figures = lock.statistics()
    assert (figures.timeouts, figures.contended, figures.waiting) == (1, 0, 0)


def test_a_lock_has_a_timeout_of_its_own_for_those_who_give_none() -> None:
    lock = OrderedLock(timeout=0.01)
    with Holding(lock):
        with pytest.raises(LockTimeoutError), lock:
            pytest.fail("it was held")
        with pytest.raises(LockTimeoutError):
            lock.acquire()


def test_a_timeout_of_nothing_is_no_wait() -> None:
    lock = OrderedLock()
    with Holding(lock), pytest.raises(LockTimeoutError):
        lock.acquire(timeout=0)
    assert lock.acquire(timeout=0)
    lock.release()


@pytest.mark.slow
def test_timeouts_come_when_they_are_due() -> None:
    lock = OrderedLock()
    late = []
    with Holding(lock):
        for _ in range(100):
            started = time.monotonic()
            with pytest.raises(LockTimeoutError):
                lock.acquire(timeout=0.002)
            late.append(time.monotonic() - started - 0.002)
    assert min(late) >= 0
    assert sorted(late)[50] < 0.05  # the median: a machine that is busy is not what is tested


# -- deadlocks -------------------------------------------------------------------------------------------------------


def planted(size: int, make: Callable[[int], Any], take: Callable[[Any], Any]) -> tuple[list[Any], list[BaseException]]:
    """Threads that each hold one lock and ask for the next one's; returns the locks, and what was raised."""
    locks = [make(number) for number in range(size)]
    order = Ordering(*(f"{number} {what}" for what in ("holds", "asks") for number in range(size)), patience=PATIENCE)

    def run(number: int) -> None:
        with take(locks[number]):
            order.reach(f"{number} holds")
            order.reach(f"{number} asks")
            with take(locks[(number + 1) % size]):
                pass

    runners = [Runner(lambda number=number: run(number), f"t{number}") for number in range(size)]  # type: ignore[misc]
    for runner in runners:
        runner.join(PATIENCE)
        assert not runner.is_alive(), "a deadlock was not broken"
    return locks, [runner.error for runner in runners if runner.error is not None]


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("kind", [OrderedLock, OrderedRLock])
def test_a_planted_circle_is_named_in_one_of_its_threads(size: int, kind: type[OrderedLock]) -> None:
    locks, errors = planted(size, lambda number: kind(name=f"lock{number}"), lambda lock: lock)
    assert [type(error) for error in errors] == [DeadlockError]
    (error,) = errors
    assert isinstance(error, DeadlockError)
    assert sorted(error.cycle) == [
        (f"t{number}", f"lock{(number + 1) % size}", f"t{(number + 1) % size}") for number in range(size)
    ]
    assert error.cycle[0][1] == error.lock
    assert error.lock == error.cycle[0][1]
    assert "for 'lock" in str(error)
    assert not any(lock.locked() for lock in locks)


@pytest.mark.parametrize("by_stack", [False, True])
def test_who_is_told_of_a_circle_is_told_where_each_thread_waits_and_where_it_took_its_lock(by_stack: bool) -> None:
    a, b = OrderedLock(name="a"), ReadWriteLock(name="b")
    barrier = threading.Barrier(2)
    lines: dict[str, int] = {}

    def line(what: str) -> None:
        lines[what] = sys._getframe(1).f_lineno + 1

    def enter(context: Any) -> None:
        if by_stack:
            with ExitStack() as stack:
                line("a waits")
                stack.enter_context(context)
        else:
            line("a waits")
            with context:
                pass

    def first() -> None:
        line("a taken")
        with a:
            barrier.wait(PATIENCE)
            enter(b.writing())

    def second() -> None:
        line("b taken")
        with b.reading():
            barrier.wait(PATIENCE)
            line("b waits")
            with a:
                pass

    runners = [Runner(first, "one"), Runner(second, "two")]
    for runner in runners:
        runner.join(PATIENCE)
    (error,) = [runner.error for runner in runners if runner.error is not None]
    assert isinstance(error, DeadlockError)
    places = {what: f"{__file__}:{number}" for what, number in lines.items()}
    told = {
        ("one", "b", "two"): (places["a waits"], places["b taken"]),
        ("two", "a", "one"): (places["b waits"], places["a taken"]),
    }
    assert dict(zip(error.cycle, error.sites, strict=True)) == told
    assert f"two waits at {places['b waits']} for 'a', held by one, acquired at {places['a taken']}" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.cycle, again.sites, str(again)) == (error.cycle, error.sites, str(error))


@pytest.mark.parametrize(("first", "second"), [("reading", "writing"), ("writing", "writing"), ("writing", "reading")])
def test_a_circle_through_read_write_locks_is_named(first: str, second: str) -> None:
    a, b = ReadWriteLock(name="a"), ReadWriteLock(name="b")
    order = Ordering("one holds a", "other holds b", "one asks for b", "other asks for a", patience=PATIENCE)

    def run(me: str, mine: ReadWriteLock, other: ReadWriteLock) -> bool:
        with getattr(mine, first)():
            order.reach(f"{me} holds {mine.name}")
            order.reach(f"{me} asks for {other.name}")
            try:
                with getattr(other, second)():
                    return False
            except DeadlockError:
                return True

    told = order.run(one=lambda: run("one", a, b), other=lambda: run("other", b, a))
    assert sorted(told.values()) == [False, True]


def test_a_circle_that_a_timeout_will_open_is_left_to_it() -> None:
    a, b = OrderedLock(name="a"), OrderedLock(name="b")
    order = Ordering("patient holds a", "timed holds b", "timed asks for a", patience=PATIENCE)

    def patient() -> None:
        with a:
            order.reach("patient holds a")
            order.reach("timed asks for a", when=lambda: a.statistics().waiting)
            with b:
                pass

    def timed() -> str:
        with b:
            order.reach("timed holds b")
            with pytest.raises(LockTimeoutError):
                a.acquire(timeout=waits_module.PATIENCE * 4)
        return "late"

    assert order.run(patient=patient, timed=timed)["timed"] == "late"


def test_a_long_wait_that_is_no_circle_goes_on() -> None:
    lock, mine = OrderedLock(name="a"), OrderedLock(name="b")
    with Holding(lock) as holding:

        def wait() -> bool:
            with mine, lock:
                return True

        waiter = Runner(wait)
        until(lambda: lock.statistics().waiting == 1)
        waiter.join(waits_module.PATIENCE * 3)
        assert waiter.is_alive()
        holding.leave.set()
        assert waiter.finish() is True
    figures = lock.statistics()
    assert figures.contended == 1
    assert figures.longest_wait >= waits_module.PATIENCE * 2
    assert figures.waited == figures.longest_wait


# -- closing ---------------------------------------------------------------------------------------------------------


def test_closing_wakes_every_waiter_and_leaves_nothing_held() -> None:
    lock = OrderedLock(name="orders")
    with Holding(lock):

        def wait() -> None:
            with lock:
                pytest.fail("it is closed")

        waiters = [Runner(wait) for _ in range(4)]
        until(lambda: lock.statistics().waiting == 4)
        lock.close()
        for waiter in waiters:
            with pytest.raises(LockClosedError, match="lock 'orders' is closed"):
                waiter.finish()
        assert not lock.locked()
        assert lock.closed
        assert repr(lock) == "<OrderedLock orders: closed>"
    for way in (lock.acquire, lock.__enter__, lambda: lock.acquire(timeout=1), lambda: lock.acquire(blocking=False)):
        with pytest.raises(LockClosedError):
            way()
    with pytest.raises(LockClosedError):
        lock.assert_held()


def test_whoever_is_inside_when_a_lock_is_closed_leaves_as_ever() -> None:
    lock = OrderedLock()
    with lock:
        lock.close()
    other = OrderedLock()
    other.acquire()
    other.close()
    other.release()
    with OrderedLock():
        pass


@pytest.mark.parametrize("side", ["reading", "writing"])
@pytest.mark.parametrize("waiting", ["reading", "writing"])
def test_closing_a_read_write_lock_wakes_both_sides(side: str, waiting: str) -> None:
    lock = ReadWriteLock(name="shared")
    if (side, waiting) == ("reading", "reading"):
        pytest.skip("readers do not wait for readers")
    with Holding(Reading(lock) if side == "reading" else lock.writing()):
        waiter = Runner(lambda: getattr(lock, waiting)().__enter__())
        until(lambda: lock.statistics().waiting == 1)
        lock.close()
        with pytest.raises(LockClosedError):
            waiter.finish()
    assert repr(lock) == "<ReadWriteLock shared: closed>"
    for one in ("reading", "writing"):
        with pytest.raises(LockClosedError), getattr(lock, one)():
            pass


def test_closing_a_condition_wakes_those_that_wait_to_be_told() -> None:
    condition = OrderedCondition(H["outer"])

    def wait() -> None:
        with condition:
            condition.wait()

    waiters = [Runner(wait) for _ in range(3)]
    until(lambda: "3 waiting" in repr(condition))
    condition.close()
    for waiter in waiters:
        with pytest.raises(LockClosedError):
            waiter.finish()
    assert not condition.lock.locked()


# -- figures ---------------------------------------------------------------------------------------------------------


def test_figures_count_what_was_taken_and_what_waited() -> None:
    lock = OrderedLock(H["inner"], name="orders")
    for _ in range(5):
        with lock:
            pass
    with Holding(lock) as holding:
        waiter = Runner(lambda: lock.__enter__().release())
        until(lambda: lock.statistics().waiting == 1)
        assert lock.statistics().holder == "the other"
        holding.leave.set()
        waiter.finish()
    figures = lock.statistics()
    assert (figures.name, figures.rank, figures.acquired, figures.contended) == ("orders", 1, 7, 1)
    assert 0 < figures.waited == figures.longest_wait
    assert (figures.held_sampled, figures.samples, figures.holder) == (None, 0, None)
    assert OrderedLock().statistics().rank is None


def test_holds_are_sampled_by_the_clock_that_is_given() -> None:
    clock = iter(range(0, 1000, 3))
    lock = SampledLock(every=4, now=lambda: float(next(clock)))
    for _ in range(10):
        with lock:
            pass
    figures = lock.statistics()
    assert (figures.acquired, figures.samples, figures.held_sampled) == (10, 2, 3.0)
    with pytest.raises(ValueError, match="0-th"):
        SampledLock(every=0)


# -- what belongs to one process -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lock",
    [OrderedLock(), OrderedRLock(), SampledLock(), OrderedCondition(), ReadWriteLock()],
    ids=lambda lock: type(lock).__name__,
)
def test_locks_cannot_be_copied_or_pickled(lock: Any) -> None:
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            way(lock)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_locks_are_free_in_a_forked_child_and_the_block_around_the_fork_can_be_left() -> None:
    result = child(
        """
import os, threading, sys
from coresys.threads import *
H = LockHierarchy("h", ["outer", "inner"])
other, mine = OrderedLock(H["inner"]), OrderedLock(H["outer"])
shared, condition = ReadWriteLock(), OrderedCondition()
taken, leave = threading.Event(), threading.Event()
def hold():
    with other, shared.writing(), condition:
        taken.set(); leave.wait(20)
threading.Thread(target=hold, daemon=True).start()
assert taken.wait(20)
with mine:
    pid = os.fork()
    if pid == 0:
        assert not other.locked() and not mine.locked() and held_locks() == ()
        with other.within(5), shared.reading(5), condition:
            condition.notify_all()
if pid == 0:
    with mine, other:
        pass
    os._exit(0)
leave.set()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    ("other", "held"),
    [
        ("writing", "main_share"),  # a writer passes through the share of whoever forks
        ("writing", "third_share"),  # or through that of a thread that the child does not have either
        ("reading", "shared._gate"),  # a reader has the gate for a moment
        ("writing", "shared._gate"),
    ],
)
def test_a_read_write_lock_is_free_in_a_child_forked_while_another_thread_is_in_the_midst_of_taking_it(
    other: str, held: str
) -> None:
    result = child(
        f"""
import os, threading, sys
from coresys.threads import *
shared, another = ReadWriteLock(name="shared"), OrderedLock()
def visit():
    with shared.reading(): pass
    with another: pass  # or the share would still stand in this thread's list
    return shared._gate.share()
class Stopping:
    \"\"\"A raw lock, with which whoever takes it stands still.\"\"\"
    def __init__(self, raw): self.raw, self.owner, self.taken = raw, threading.get_ident(), threading.Event()
    def __getattr__(self, name): return getattr(self.raw, name)
    def acquire(self, *args):
        took = self.raw.acquire(*args)
        if threading.get_ident() != self.owner:
            self.taken.set()
            leave.wait(20)
        return took
main_share, leave, shares = visit(), threading.Event(), []
third = threading.Thread(target=lambda: (shares.append(visit()), leave.wait(20)), daemon=True)
third.start()
while not shares: pass
third_share = shares[0]
stopping = Stopping({held}.raw)
{held}.raw = stopping
if {held} is shared._gate: shared._gate._acquire = stopping.acquire
def take():
    with shared.{other}(): pass
threading.Thread(target=take, daemon=True).start()
assert stopping.taken.wait(20)
pid = os.fork()
if pid == 0:
    status = 1
    try:
        with shared.reading(.2): pass
        with shared.writing(.2): pass
        status = 0
    finally:
        os._exit(status)
leave.set()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_read_write_locks_are_free_in_children_forked_at_any_moment() -> None:
    result = child(
        """
import os, sys, threading, time
from coresys.threads import *
sys.setswitchinterval(1e-6)
shared = ReadWriteLock()
with shared.reading(): pass
with OrderedLock(): pass
stop = threading.Event()
def loop(side):
    while not stop.is_set():
        with side(): pass
loops = [threading.Thread(target=loop, args=(side,)) for side in (shared.writing, shared.writing, shared.reading)]
for each in loops: each.start()
failed = 0
for _ in range(60):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with shared.reading(5): pass
            with shared.writing(5): pass
            status = 0
        finally:
            os._exit(status)
    failed += os.waitpid(pid, 0)[1] != 0
stop.set()
for each in loops: each.join()
sys.exit(failed)
"""
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_sampled_lock_held_over_a_fork_is_let_go_and_nobody_waits_in_the_child() -> None:
    result = child(
        """
import os, threading, sys, time
from coresys.threads import *
mine, other = SampledLock(name="mine", every=1), OrderedLock(name="other")
def wait():
    with mine: pass
waiters = [threading.Thread(target=wait) for _ in range(3)]
with mine:
    for waiter in waiters: waiter.start()
    while mine.statistics().waiting < 3: time.sleep(0.001)
    pid = os.fork()
    if pid == 0:
        assert mine.statistics().waiting == 0
        assert not mine.locked()
if pid == 0:
    with mine:
        assert mine.holder() == "MainThread"
    assert not mine.locked()
    assert mine.statistics().waiting == 0
    os._exit(0)
for waiter in waiters: waiter.join(20)
assert mine.statistics().waiting == 0 and mine.statistics().contended == 3
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    )
    assert result.returncode == 0, result.stderr


def test_a_lock_and_its_figures_die_when_nobody_has_them() -> None:
    lock = OrderedLock()
    with Holding(lock), pytest.raises(LockTimeoutError):
        lock.acquire(timeout=0)
    gone = weakref.ref(lock)
    del lock
    with OrderedLock():  # this thread's list forgets what was let go
        pass
    gc.collect()
    assert gone() is None


# -- several at once -------------------------------------------------------------------------------------------------


def test_all_are_taken_in_one_order_whatever_order_they_are_given_in() -> None:
    locks = [OrderedLock(H["inner"], name=f"n{number}") for number in range(4)]
    outer = OrderedLock(H["outer"], name="outer")
    with acquire_all(locks[2], locks[0], outer, locks[3], locks[1]):
        assert held_locks() == ("outer", "n0", "n1", "n2", "n3")
    assert held_locks() == ()
    with pytest.raises(ValueError, match="twice"):
        acquire_all(outer, outer)


def test_when_one_of_all_cannot_be_had_none_is_held() -> None:
    locks = [OrderedLock(H["inner"]) for _ in range(3)]
    with Holding(locks[2]):
        with pytest.raises(LockTimeoutError), acquire_all(*locks, timeout=0.01):
            pytest.fail("one was held")
        assert held_locks() == ()
        assert not locks[0].locked()


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_all_at_once_from_all_sides_never_deadlocks_and_loses_nothing() -> None:
    locks = [OrderedLock(H["inner"]) for _ in range(4)]
    total = [0]

    def work(number: int) -> None:
        for turn in range(200):
            chosen = [locks[(number + turn) % 4], locks[(number + 3 * turn + 1) % 4]]
            with acquire_all(*{id(lock): lock for lock in [*chosen, locks[0]]}.values()):
                before = total[0]
                total[0] = before + 1

    together(*[lambda number=number: work(number) for number in range(4)])
    assert total == [800]


# -- conditions ------------------------------------------------------------------------------------------------------


def test_a_condition_wakes_as_many_as_it_tells_and_returns_what_came_true() -> None:
    condition, box = OrderedCondition(H["outer"]), [0]

    def wait(at_least: int) -> Any:
        with condition:
            return condition.wait_for(lambda: box[0] >= at_least and f"{at_least} of {box[0]}")

    waiters = [Runner(lambda n=n: wait(n)) for n in (1, 2)]  # type: ignore[misc]
    until(lambda: "2 waiting" in repr(condition))
    for number in (1, 2):
        with condition:
            box[0] = number
            condition.notify_all()
        assert str(waiters[number - 1].finish()).startswith(f"{number} of ")
    with condition:
        condition.notify()
        assert condition.wait(0) is False
        assert condition.wait_for(lambda: False, timeout=0.001) is False


@pytest.mark.parametrize(("told", "left"), [(1, 4), (2, 3), (5, 0), (9, 0)])
def test_as_many_are_woken_as_are_told(told: int, left: int) -> None:
    condition = OrderedCondition()
    woken = []

    def wait() -> None:
        with condition:
            assert condition.wait(PATIENCE)
            woken.append(1)

    waiters = [Runner(wait) for _ in range(5)]
    until(lambda: "5 waiting" in repr(condition))
    with condition:
        condition.notify(told)
        assert f"{left} waiting" in repr(condition)
    until(lambda: len(woken) == 5 - left)
    with condition:
        condition.notify_all()
    for waiter in waiters:
        waiter.finish()
    assert len(woken) == 5


def test_waiting_lets_a_lock_go_that_was_taken_twice_and_takes_it_twice_again() -> None:
    condition = OrderedCondition()

    def wait() -> int:
        with condition, condition:
            assert condition.wait(PATIENCE)
            condition.release()
            condition.lock.assert_held()
            condition.acquire()
            return 1

    waiter = Runner(wait)
    until(lambda: "1 waiting" in repr(condition))
    with condition:
        condition.notify()
    assert waiter.finish() == 1
    assert not condition.lock.locked()


def test_a_condition_wants_its_lock_and_no_inner_one() -> None:
    lock = OrderedLock(H["outer"])
    condition = OrderedCondition(lock=lock)
    assert condition.lock is lock
    for way in (condition.wait, condition.notify):
        with pytest.raises(LockOwnershipError):
            way()
    with condition, OrderedLock(H["inner"]):
        with pytest.raises(LockOrderError, match="takes its lock again, after the inner one"):
            condition.wait()
        lock.assert_held()
    with pytest.raises(ValueError, match="give a lock, or"):
        OrderedCondition(H["outer"], lock=lock)


# -- readers and writers ---------------------------------------------------------------------------------------------


def test_readers_read_together_and_a_writer_is_alone() -> None:
    lock = ReadWriteLock(H["outer"], name="shared")
    with Holding(Reading(lock), "reader"), lock.reading():
        assert lock.readers == 2
        lock.assert_reading()
        with pytest.raises(LockOwnershipError):
            lock.assert_writing()
        assert repr(lock) == "<ReadWriteLock shared (h.outer): 2 reading>"


def test_a_writer_waits_for_readers_and_says_who_they_are() -> None:
    lock = ReadWriteLock(name="shared")

    with Holding(Reading(lock), "reader"):
        with pytest.raises(LockTimeoutError, match="held by reader") as late, lock.writing(0.01):
            pytest.fail("somebody reads")
        assert late.value.holder == "reader"
        assert lock._gate.acquire(blocking=False) is False
        with lock.reading(1):  # the writer that gave up stands in nobody's way
            pass
    with lock.writing():
        lock.assert_writing()
        lock.assert_reading()
        with lock.reading():
            pass
        lock.assert_writing()
        with pytest.raises(LockOrderError, match="not re-entrant"):
            lock.writing().__enter__()
    with lock.reading(), lock.reading(), pytest.raises(LockOrderError, match="would wait for itself"):
        lock.writing().__enter__()
    assert lock.readers == 0


def test_a_share_of_another_thread_is_refused() -> None:
    lock = ReadWriteLock()
    share = lock.reading()
    with pytest.raises(LockOwnershipError, match="share of another thread"):
        Runner(share.__enter__).finish()
    assert lock.readers == 0


def test_no_reader_comes_in_before_a_writer_that_waits() -> None:
    lock = ReadWriteLock()
    order = []

    def write() -> None:
        with lock.writing():
            order.append("writer")

    def read() -> None:
        with lock.reading():
            order.append("reader")

    with Holding(Reading(lock)) as holding:
        writer = Runner(write)
        until(lambda: lock.statistics().waiting == 1)
        reader = Runner(read)
        until(lambda: lock.statistics().waiting == 2)
        holding.leave.set()
        writer.finish()
        reader.finish()
    assert order == ["writer", "reader"]


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_readers_never_see_half_of_what_a_writer_does() -> None:
    lock = ReadWriteLock()
    box = [0, 0]
    torn = []

    def write() -> None:
        for _ in range(100):
            with lock.writing():
                box[0] += 1
                time.sleep(0)
                box[1] += 1

    def read() -> None:
        for _ in range(300):
            with lock.reading():
                first = box[0]
                time.sleep(0)
                if first != box[1]:
                    torn.append(first)

    together(write, write, read, read)
    assert torn == []
    assert box == [200, 200]
    assert lock.statistics().acquired == 800


# -- protected data --------------------------------------------------------------------------------------------------


def test_guarded_values_are_touched_only_with_their_lock() -> None:
    lock = OrderedLock(name="orders")
    orders = Guarded(lock, {"a": 1})
    with lock:
        assert orders.value == {"a": 1}
        orders.value = {}
    with pytest.raises(LockOwnershipError):
        _ = orders.value
    with pytest.raises(LockOwnershipError):
        orders.value = {}
    assert "orders" in repr(orders)
    with Holding(lock), pytest.raises(LockOwnershipError):
        _ = orders.value


def test_a_value_may_be_guarded_by_a_condition() -> None:
    condition = OrderedCondition(name="orders")
    orders = Guarded(condition, 1)
    with condition:
        orders.value += 1
        assert orders.value == 2
    for touch in (lambda: orders.value, condition.assert_held):
        with pytest.raises(LockOwnershipError, match="'orders'"):
            touch()


def test_who_reads_may_get_a_guarded_value_and_who_writes_may_set_it() -> None:
    class Ledger:
        total = guarded_by[int]("_lock")

        def __init__(self) -> None:
            self._lock = ReadWriteLock(name="ledger")
            self.total = 0

    ledger, lock = Ledger(), ReadWriteLock(name="orders")
    orders = Guarded(lock, 1)
    with lock.writing(), ledger._lock.writing():
        orders.value += 1
        ledger.total += 1
    with lock.reading(), ledger._lock.reading():
        assert (orders.value, ledger.total) == (2, 1)
        with pytest.raises(LockOwnershipError, match="'orders'"):
            orders.value = 3
        with pytest.raises(LockOwnershipError, match="'ledger'"):
            ledger.total = 3
        with pytest.raises(LockOwnershipError, match="'ledger'"):
            del ledger.total
    for touch in (lambda: orders.value, lambda: ledger.total, lock.assert_held):
        with pytest.raises(LockOwnershipError):
            touch()
    assert (orders._value, vars(ledger)["total"]) == (2, 1)


def test_guarded_attributes_are_touched_only_with_their_lock() -> None:
    class Ledger:
        total = guarded_by[int]("_lock")

        def __init__(self) -> None:
            self._lock = OrderedLock()
            self.total = 0  # nobody else has it yet

    ledger = Ledger()
    with ledger._lock:
        ledger.total += 1
        assert ledger.total == 1
    with pytest.raises(LockOwnershipError):
        _ = ledger.total
    with pytest.raises(LockOwnershipError):
        ledger.total = 5
    with pytest.raises(LockOwnershipError):
        del ledger.total
    with ledger._lock:
        del ledger.total
        with pytest.raises(AttributeError, match="no attribute 'total'"):
            _ = ledger.total
    assert isinstance(Ledger.total, guarded_by)


@pytest.mark.slow
def test_guards_cost_nothing_where_python_is_optimised() -> None:
    code = "from coresys.threads import *; l = OrderedLock(); print(Guarded(l, 5).value)"
    result = subprocess.run(
        [sys.executable, "-O", "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )
    assert result.stdout == "5\n", result.stderr


# -- storms ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_a_storm_in_order_never_deadlocks_and_never_lets_two_in() -> None:
    ranks = LockHierarchy("storm", ["a", "b", "c"])
    locks = [[OrderedLock(rank), OrderedRLock(rank)] for rank in ranks]
    inside = [[0, 0] for _ in locks]
    faults = []

    def work(seed: int) -> None:
        state = seed * 7919 + 1
        for _ in range(150):
            state = (state * 1103515245 + 12345) % (1 << 31)
            start, width = state % 3, state // 7 % 3 + 1
            chosen = [(level, (state >> level) & 1) for level in range(start, min(3, start + width))]
            for level, which in chosen:
                locks[level][which].acquire()
                inside[level][which] += 1
                if inside[level][which] != 1:
                    faults.append((level, which))
            for level, which in reversed(chosen):
                inside[level][which] -= 1
                locks[level][which].release()

    together(*[lambda seed=seed: work(seed) for seed in range(8)])
    assert faults == []
    assert not any(lock.locked() for pair in locks for lock in pair)
