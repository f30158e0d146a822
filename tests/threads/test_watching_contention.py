"""What waiting for a lock costs: the arithmetic, the readings it is fed with, and real threads over fake processors."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import coresys
from coresys.errors.hierarchy import BudgetExceededError, BudgetNotMeasuredError
from coresys.records import Location
from coresys.threads.watching import busy, chains, ledger, waits, words
from coresys.threads.watching.busy import Busy, own_time, queued_of, worked_by
from coresys.threads.watching.contention import (
    LEAST_LOST,
    Contention,
    Life,
    Waits,
    active_of,
    blocked_of,
    idle_of,
    share_of,
    worst_of,
)
from coresys.threads.watching.install import install, uninstall
from coresys.threads.watching.interpreter import InterpreterWait, InterpreterWatch
from coresys.threads.watching.ledger import Ledger, close_ledger, open_ledger
from coresys.threads.watching.locks import Lock, RLock

# -- the arithmetic -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waited", "measured", "worked", "idle"),
    [
        (0.1, 0.1, 0.0, 0.1),  # nobody did anything
        (0.1, 0.1, 0.1, 0.0),  # the process was busy all along
        (0.1, 0.1, 0.4, 0.0),  # on several processors: no less than nothing
        (0.1, 0.05, 0.0, 0.1),  # half of it was measured, the other half was alike
        (0.1, 0.049, 0.0, 0.049),  # less: the rest is not known
        (0.1, 0.05, 0.025, 0.05),
        (0.1, 0.0, 0.0, 0.0),  # never measured, for there was work all the time
        (0.1, 0.2, 0.0, 0.1),  # no more than was waited
        (0.0, 0.1, 0.0, 0.0),
    ],
)
def test_a_wait_is_discounted_by_what_the_process_did(
    waited: float, measured: float, worked: float, idle: float
) -> None:
    assert idle_of(waited, measured, worked) == pytest.approx(idle)


@pytest.mark.parametrize(
    ("waits_of_one", "blocked"),
    [
        (Waits(), 0.0),
        (Waits(count=1, waited=0.3, lasted=0.2), 0.2),
        (Waits(count=900, waited=0.9, soon=0.9, samples=5, sampled=0.01, busy=0.0), 0.9),
        (Waits(count=900, waited=0.9, soon=0.9, samples=5, sampled=0.01, busy=0.0075), 0.225),
        (Waits(count=900, waited=0.9, soon=0.9, samples=5, sampled=0.01, busy=0.02), 0.0),
        (Waits(count=900, waited=0.9, soon=0.9, samples=4, sampled=0.01, busy=0.0), 0.0),  # too few to tell
        (Waits(count=900, waited=0.9, soon=0.9), 0.0),
    ],
)
def test_short_waits_are_judged_by_those_that_were_measured(waits_of_one: Waits, blocked: float) -> None:
    assert blocked_of(waits_of_one) == pytest.approx(blocked)


@pytest.mark.parametrize(
    ("life", "active"),
    [
        (Life(lived=10.0), 0.0),  # it slept
        (Life(lived=10.0, waited=2.0), 2.0),
        (Life(lived=10.0, waited=2.0, queued=0.5, worked=0.25, process=0.25), 2.75),
        # Four that take turns: each had the processor for a quarter of what all had, and wanted it all the time.
        (Life(lived=1.0, worked=0.25, process=1.0, among=4), 1.0),
        # It did little, and did not wait for all that the others did.
        (Life(lived=1.0, worked=0.01, process=1.0, among=4), 0.04),
        (Life(lived=1.0, worked=0.5, process=0.6, among=4), 0.6),  # nor for more than was done at all
        (Life(lived=1.0, worked=None, process=0.6), 0.6),  # of no known thread: what all did
        (Life(lived=1.0, parked=0.7, worked=0.5, process=0.6, among=2), 0.3),  # it is known to have been parked
        (Life(lived=1.0, parked=1.1), 0.0),
    ],
)
def test_a_thread_was_active_while_it_waited_for_locks_or_was_at_work(life: Life, active: float) -> None:
    assert active_of(life) == pytest.approx(active)


@pytest.mark.parametrize(("part", "whole", "share"), [(1, 4, 0.25), (0, 0, 0.0), (1, 0, 0.0), (1.01, 1, 1.0)])
def test_a_share_is_never_more_than_all(part: float, whole: float, share: float) -> None:
    assert share_of(part, whole) == share


def of_lock(number: int, blocked: float, active: float) -> Contention:
    return Contention(number, "lock", "a", Location("a.py", 1), 3, blocked, blocked, active, blocked, 2)


def test_the_figure_is_that_of_the_worst_lock_by_which_enough_was_lost() -> None:
    slight = of_lock(1, LEAST_LOST - 0.0001, 0.02)
    large, worst = of_lock(2, 1.0, 10.0), of_lock(3, LEAST_LOST, 0.04)
    assert list(worst_of([slight, large, worst])) == [worst, large]
    assert list(worst_of([slight])) == []


# Of D7 in the research: seconds of one run each, idle. What is beside them are the shares that were told there.
@pytest.mark.parametrize(
    ("lives", "seen", "low", "high"),
    [
        # Four threads that hold a lock for 5 ms of sleep, twenty times each.
        ([Life(0.42, waited=0.28, worked=0.002, process=0.01, among=5)] * 4, Waits(76, 1.1, 0.02, lasted=1.05), 0.8, 1),
        # Four that compute; the lock is held for a fiftieth of the time, and waits are those for the interpreter.
        ([Life(0.4, waited=0.05, worked=0.1, process=0.4, among=5)] * 4, Waits(9, 0.2, 0.05, lasted=0.0), 0, 0),
        # Two that are hot, among thirty that took the lock once, and sleep.
        (
            [Life(0.2, waited=0.1, worked=0.002, process=0.02, among=32)] * 2
            + [Life(0.2, worked=0.0002, process=0.02, among=32)] * 30,
            Waits(58, 0.2, 0.004, lasted=0.18),
            0.3,
            0.9,
        ),
    ],
)
def test_recorded_runs_are_judged_as_they_should(lives: list[Life], seen: Waits, low: float, high: float) -> None:
    assert low <= share_of(blocked_of(seen), sum(map(active_of, lives))) <= high


# -- how busy a process was -----------------------------------------------------------------------------------------


class Machine:
    """Processors and a clock that are set by hand."""

    def __init__(self) -> None:
        self.now, self.processor = 0.0, 0.0
        self.delays: dict[int, float] = {1: 5.0}
        self.busy = Busy(self.delays.get, lambda: self.now, lambda: self.processor, lambda: list(self.delays))

    def read(self) -> float:
        return self.busy.read(fresh=True).busy


def test_busy_is_work_and_standing_in_line_of_all_threads_since_the_first_reading() -> None:
    machine = Machine()
    assert machine.read() == 0.0  # 5 s of it were before
    machine.processor, machine.delays[1] = 1.0, 5.5
    assert machine.read() == pytest.approx(1.5)
    machine.delays[2] = 0.25  # a new thread, which has stood in line since it began
    assert machine.read() == pytest.approx(1.75)
    machine.delays[2] = 0.05  # another one, that has the number of one that is gone
    assert machine.read() == pytest.approx(1.8)


def test_what_a_thread_stood_in_line_for_is_not_lost_with_it() -> None:
    machine = Machine()
    machine.read()
    machine.delays[2] = 0.5
    assert machine.read() == pytest.approx(0.5)
    machine.delays[2] = 0.75
    assert machine.busy.ending(2) == 0.75
    del machine.delays[2]
    assert machine.read() == pytest.approx(0.75)
    assert machine.busy.queued() == {1: 5.0}


def test_a_thread_that_is_ending_and_not_listed_any_more_is_read_until_it_is_gone() -> None:
    delays = {1: 0.0, 2: 0.0}
    listed = [1, 2]
    of = Busy(delays.get, lambda: 0.0, lambda: 0.0, lambda: listed)
    of.read(fresh=True)
    listed.remove(2)
    delays[2] = 0.5
    assert of.read(fresh=True).busy == pytest.approx(0.5)


def test_a_young_reading_serves_for_the_next_who_asks() -> None:
    machine = Machine()
    first = machine.busy.read()
    machine.processor = 1.0
    machine.now = 0.0005
    assert machine.busy.read() is first
    machine.now = 0.5
    assert machine.busy.read().busy == pytest.approx(1.0)


def test_what_happens_while_it_is_read_is_not_told_to_be_lost() -> None:
    clock = iter([0.0, 1.0, 5.0, 7.0])
    of = Busy(lambda number: 0.0, lambda: next(clock), lambda: 0.0, lambda: [1])
    first, last = of.read(fresh=True), of.read(fresh=True)
    assert first.until(last) == 4.0


def test_threads_of_the_system_are_read() -> None:
    number = threading.get_native_id()
    before, queued = own_time(), queued_of(number)
    worked, after = worked_by(number), own_time()
    assert queued is not None
    assert queued >= 0
    if busy._OF_A_THREAD:
        assert worked is not None
        assert before <= worked <= after
        assert worked_by(2**22 + 5) is None  # more than there are numbers
        assert queued_of(2**22 + 5) is None


# -- real threads ---------------------------------------------------------------------------------------------------


class Processors:
    """What the ledger is told of the machine: nobody works, unless ``at_work``."""

    at_work = False

    def time(self) -> float:
        return time.monotonic() if self.at_work else 0.0


@pytest.fixture
def processors(monkeypatch: pytest.MonkeyPatch) -> Processors:
    found = Processors()
    of = Busy(lambda number: 0.0, processor=found.time, threads=lambda: [1])
    monkeypatch.setattr(ledger, "_busy", of)
    monkeypatch.setattr(ledger, "processor_time", found.time)
    monkeypatch.setattr(ledger, "own_time", lambda: 0.0)
    monkeypatch.setattr(ledger, "worked_by", lambda number: 0.0)
    monkeypatch.setattr(busy, "discounts", True)
    return found


@pytest.fixture
def opened(processors: Processors) -> Iterator[Ledger]:
    chains.renew()
    found = open_ledger()
    yield found
    close_ledger(found)
    chains.renew()


def waiting_for(lock: Any) -> bool:
    return any(
        party.waiting is not None and party.waiting.target is lock._ident and party.waiting.note is not None
        for party in chains.parties()
    )


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.001)


def held_while_waited_for(lock: Any, *, seconds: float = 0.08) -> None:
    """One thread holds it while this one waits; by then that has lasted."""
    held = threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            until(lambda: waiting_for(lock))
            time.sleep(seconds)

    holder = threading.Thread(target=hold, name="holder")
    holder.start()
    held.wait()
    with lock:
        pass
    holder.join()


@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_lock_that_is_waited_for_costs_its_users_the_wait(make: Any, opened: Ledger) -> None:
    lock, bystander = make(), make()
    with bystander:
        pass
    held_while_waited_for(lock)
    (found,) = opened.read()
    assert found.number == lock._ident.serial
    assert found.counts
    assert (found.waits, found.threads) == (1, 2)
    assert found.share == pytest.approx(1.0)
    assert found.waited == pytest.approx(found.blocked, rel=0.2)
    assert found.waiter is not None
    assert found.waiter.function == "held_while_waited_for"
    assert (found.waiting, found.holding) == (threading.current_thread().name, "holder")
    assert found.holder is not None
    assert found.holder.function.endswith("hold")
    functions = [place.function for place in found.stack]
    assert any(function.endswith("hold") for function in functions)
    assert found.holders[0][0] == found.holder


def test_a_wait_in_which_the_interpreter_was_at_work_costs_nothing(processors: Processors, opened: Ledger) -> None:
    processors.at_work = True
    held_while_waited_for(Lock())
    assert [each.blocked for each in opened.read()] == []
    assert opened.accounts  # it was waited for


def test_without_a_gil_work_of_others_is_no_excuse(
    processors: Processors, opened: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "discounts", False)
    processors.at_work = True
    held_while_waited_for(Lock())
    (found,) = opened.read()
    assert found.blocked == found.waited


def test_short_waits_are_all_counted_and_now_and_then_measured(opened: Ledger) -> None:
    lock = Lock()
    party, target = chains.here.me, lock._ident
    lock.acquire()
    account = opened.account(target)
    for at in range(10):
        note = ledger._Note()
        note.first = busy.Sample(0.0, 0.0, 0.0) if at < 5 else None
        wait = waits.Wait(party, target, lock, None, patient=True)
        account.add(wait, note, 0.003, busy.Sample(0.003, 0.003, 0.001) if at < 5 else None)
    lock.release()
    assert blocked_of(account.waits()) == pytest.approx(0.03 * 2 / 3)


def test_a_wait_that_is_given_up_costs_nothing(opened: Ledger) -> None:
    lock = Lock()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    assert not lock.acquire(timeout=0.03)
    done.set()
    holder.join()
    assert opened.read() == []


def test_a_lock_that_another_thread_lets_go_is_a_signal(opened: Ledger) -> None:
    signal = Lock()
    held = threading.Event()

    def take() -> None:
        signal.acquire()
        held.set()

    def let_go() -> None:
        until(lambda: waiting_for(signal))
        time.sleep(0.05)
        signal.release()

    taker, other = threading.Thread(target=take), threading.Thread(target=let_go)
    taker.start()
    held.wait()
    other.start()
    signal.acquire()
    for thread in (taker, other):
        thread.join()
    signal.release()
    assert opened.accounts[signal._ident].lasted > 0
    assert opened.read() == []


def test_a_lock_that_its_own_holder_waits_for_is_a_signal(opened: Ledger) -> None:
    """As where the handler of an operating system's signal lets it go."""
    signal = Lock()
    with signal:
        wait = waits.Wait(chains.here.me, signal._ident, signal, None, patient=True)
        for begin in waits.begun:
            begin(wait)
        for hear in waits.heard:
            hear(wait, True)
    assert opened.accounts == {}


def test_waiting_for_a_condition_is_none_but_taking_its_lock_again_is(opened: Ledger) -> None:
    condition = threading.Condition(RLock())
    lock: Any = condition._lock  # type: ignore[attr-defined]
    waiting, slept = threading.Event(), threading.Event()

    def wait() -> None:
        with condition:
            waiting.set()
            condition.wait()
        slept.set()

    waiter = threading.Thread(target=wait, name="waiter")
    waiter.start()
    waiting.wait()
    with condition:  # it waits to be notified, and for nothing else
        assert opened.accounts == {}
        condition.notify()
        until(lambda: waiting_for(lock))
        time.sleep(0.04)
    waiter.join()
    assert slept.is_set()
    (found,) = opened.read()
    assert (found.number, found.waits, found.waiting) == (lock._ident.serial, 1, "waiter")
    assert found.waiter is not None
    assert found.waiter.function.endswith("wait")


def test_threads_that_ended_are_users_all_the_same(opened: Ledger) -> None:
    lock = Lock()

    def use() -> None:
        with lock:
            pass

    others = [threading.Thread(target=use) for _ in range(5)]
    for other in others:
        other.start()
        other.join()
    held_while_waited_for(lock)
    (found,) = opened.read()
    assert found.threads == 7
    assert opened.complete


def test_a_thread_that_only_sees_other_locks_is_no_user(opened: Ledger) -> None:
    lock, other = Lock(), Lock()

    def use() -> None:
        with other:
            pass

    bystander = threading.Thread(target=use)
    bystander.start()
    bystander.join()
    held_while_waited_for(lock)
    (found,) = opened.read()
    assert found.threads == 2


def test_what_is_known_to_be_parked_is_not_active(opened: Ledger) -> None:
    wait = waits.Wait(chains.here.me, chains.Ident("thread", (None, 0)), None, None, patient=True)
    wait.since -= 5.0  # longer than the ledger has been open
    for hear in waits.heard:
        hear(wait, True)
    tally = opened.tallies[chains.here.me.number]
    assert tally.waited == 0
    assert 0 < tally.parked < 5.0


def test_nothing_is_told_once_it_is_closed(opened: Ledger) -> None:
    second = open_ledger()
    close_ledger(opened)
    close_ledger(opened)
    lock = Lock()
    held_while_waited_for(lock)
    close_ledger(second)
    assert opened.accounts == {}
    assert list(second.accounts) == [lock._ident]
    for hooks in (waits.begun, waits.lasting, waits.looks, waits.heard, chains.arrived, chains.gone):
        assert not any(getattr(hook, "__module__", "") == ledger.__name__ for hook in hooks)


def test_no_lock_is_kept_alive(opened: Ledger) -> None:
    lock = Lock()
    held_while_waited_for(lock)
    gone = weakref.ref(lock)
    del lock
    until(lambda: gone() is None)
    assert len(opened.read()) == 1


def test_repetitions_note_what_is_taken_where_it_is_asked_for() -> None:
    lock = Lock()
    with chains.unnoted():
        with chains.noted():
            with lock:
                pass
            assert chains.taken(chains.here.me) == {lock._ident}
        with lock:
            pass
        assert chains.taken(chains.here.me) == set()


def test_what_a_thread_took_is_all_of_its_tree() -> None:
    chains.renew()
    outer, inner, tried, late = Lock(), Lock(), Lock(), Lock()
    with outer, inner:
        assert tried.acquire(blocking=False)
        with late:
            assert chains.taken(chains.here.me) == {lock._ident for lock in (outer, inner, tried, late)}
        tried.release()
    chains.renew()
    with inner:
        pass
    assert chains.taken(chains.here.me) == {inner._ident}
    with outer:
        chains.renew()  # it is held since before
        with inner:
            pass
        assert chains.taken(chains.here.me) == {outer._ident, inner._ident}


def test_no_wait_is_lost_however_often_threads_take_turns(opened: Ledger) -> None:
    locks = [Lock(), RLock(), Lock()]
    told: deque[tuple[int, float]] = deque()

    def hear(wait: waits.Wait, taken: bool) -> None:
        if wait.lock is not None and taken:
            told.append((wait.target.serial, wait.since))

    def work() -> None:
        for at in range(300):
            with locks[at % 3]:
                time.sleep(0)

    before = sys.getswitchinterval()
    waits.heard.append(hear)
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
        waits.heard.remove(hear)
    counted = {ident.serial: account.count for ident, account in opened.accounts.items()}
    assert told
    assert counted == Counter(serial for serial, _ in told)
    assert sum(account.waited for account in opened.accounts.values()) == pytest.approx(
        sum(tally.waited for tally in opened.tallies.values())
    )
    assert all(account.soon <= account.waited for account in opened.accounts.values())


# -- in words -------------------------------------------------------------------------------------------------------


def test_what_a_lock_costs_is_told_with_its_places() -> None:
    store, put, write = Location("s.py", 3, "S.__init__"), Location("s.py", 6, "S.put"), Location("s.py", 9, "write")
    stood = Location("s.py", 7, "S.put")
    found = Contention(
        number=4,
        kind="lock",
        name="S.lock",
        site=store,
        waits=76,
        waited=1.1,
        blocked=1.0,
        active=1.25,
        longest=0.03,
        threads=4,
        waiter=put,
        waiting="worker-2",
        holder=put,
        holding="worker-1",
        stack=(write, stood, Location("s.py", 20, "work")),
    )
    part = words.part_of_contention(found)
    assert part.details == (
        "S.lock: 4 threads lost 1 s of 1.2 s that they were active",
        "76 waits of 1.1 s in all (88 %), the longest 30 ms",
    )
    assert [str(place) for place in part.where] == [
        "s.py:3 S.__init__ S.lock made",
        "s.py:6 S.put worker-2 waited longest",
        "s.py:6 S.put taken by worker-1 then",
        "s.py:7 S.put worker-1 stood here",
        "s.py:9 write worker-1 stood here",
    ]


# -- the interpreter ------------------------------------------------------------------------------------------------


def test_how_long_threads_wait_for_the_interpreter_is_sampled_and_told() -> None:
    watch = InterpreterWatch()
    assert "not known" in watch.told()
    for late in (-0.001, 0.005, 0.011):
        watch.add(late)
    assert (watch.read().samples, watch.read().longest) == (3, 0.011)
    assert watch.read().average == pytest.approx(0.016 / 3)
    assert "5.3 ms on the average, 11.0 ms at most" in watch.told()
    assert "was free" in str(InterpreterWait(10, 0.0001, 0.001))


def test_its_thread_ends_with_the_block() -> None:
    before = threading.active_count()
    watch = InterpreterWatch()
    for _ in range(2):
        with watch:
            until(lambda: watch.read().samples > 0)
    assert threading.active_count() == before
    samples = watch.read().samples
    assert watch.sample(2).read().samples == samples + 2


def test_a_block_has_a_budget_for_the_waits_in_it() -> None:
    with pytest.raises(BudgetNotMeasuredError, match="locks are not watched"), coresys.budget(locks_wait="5 s"):
        pass
    install()
    try:
        lock = threading.Lock()
        held = threading.Event()

        def hold() -> None:
            with lock:
                held.set()
                time.sleep(0.15)

        with coresys.budget(locks_wait="10 s"), lock:
            pass
        thread = threading.Thread(target=hold)

        def wait() -> None:
            with coresys.budget(locks_wait="1 ms"):
                thread.start()
                held.wait()
                with lock:
                    pass

        with pytest.raises(BudgetExceededError, match=r"locks\.wait: .* > 1 ms") as raised:
            wait()
        thread.join()
        assert any("lock made" in line and "test_watching_contention.py" in line for line in raised.value.details)
    finally:
        uninstall()


def test_a_wait_that_goes_on_when_the_block_ends_counts_for_as_long_as_it_has_lasted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(busy, "discounts", False)
    install()
    try:
        lock = threading.Lock()
        lock.acquire()

        def wait() -> None:
            with lock:
                pass

        thread = threading.Thread(target=wait, name="waiter")

        def block() -> None:
            with coresys.budget(locks_wait="5 ms"):
                thread.start()
                until(lambda: any(p.waiting is not None and p.waiting.looked for p in chains.parties()))  # 50 ms

        with pytest.raises(BudgetExceededError, match=r"locks\.wait: .* > 5 ms") as raised:
            block()
        assert any("waiter waited longest" in line for line in raised.value.details)
        with coresys.budget(locks_wait="10 s"):
            pass  # the time before the block is not of the block
        lock.release()
        thread.join()
    finally:
        uninstall()


def test_where_a_holder_stands_that_waits_for_another_lock_is_no_place_of_the_watch() -> None:
    one, other = Lock(), Lock()
    other.acquire()

    def hold() -> None:
        with one, other:
            pass

    thread = threading.Thread(target=hold)
    thread.start()
    until(lambda: any(party.waiting is not None for party in chains.parties()))
    stood = ledger._stack(sys._current_frames()[thread.ident or 0])
    other.release()
    thread.join()
    assert stood[0][0] is hold.__code__
