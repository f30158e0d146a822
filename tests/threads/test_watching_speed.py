"""The methods of watched locks in C do what those in Python do: places, exceptions, references."""

from __future__ import annotations

import _thread
import gc
import os
import queue
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from languages import LANGUAGES, written_in

from coresys.threads.watching import chains, makers, speed, waits
from coresys.threads.watching.locks import InnerLock, InnerRLock, Lock, RLock

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    with written_in(request.param):
        yield request.param


@pytest.fixture
def notes() -> Iterator[Callable[[], Any]]:
    chains.renew()
    yield lambda: chains.renew().seen
    chains.renew()


def site(ident: chains.Ident) -> tuple[str, int]:
    """Function and line where it was taken last."""
    code = ident.code
    assert code is not None
    line = next(line for start, end, line in code.co_lines() if start <= ident.offset < end)
    assert line is not None
    return code.co_name, line


def here() -> int:
    return sys._getframe(1).f_lineno


@pytest.mark.parametrize("make", [Lock, RLock])
def test_the_place_is_that_of_each_acquisition(make: Any, language: str) -> None:
    lock = make()
    seen, expected = [], []
    with lock:
        seen.append(site(lock._ident))
        expected.append(here() - 2)
    with lock:
        seen.append(site(lock._ident))
        expected.append(here() - 2)
    lock.acquire()
    seen.append(site(lock._ident))
    expected.append(here() - 2)
    lock.release()
    assert lock.acquire(blocking=False)
    seen.append(site(lock._ident))
    expected.append(here() - 2)
    lock.release()
    assert lock.acquire(True, timeout=3)
    seen.append(site(lock._ident))
    expected.append(here() - 2)
    lock.release()
    name = sys._getframe().f_code.co_name
    assert seen == [(name, line) for line in expected]


def test_the_place_in_a_generator_and_in_a_lambda(language: str) -> None:
    lock = Lock()

    def one_by_one() -> Iterator[str]:
        with lock:
            yield site(lock._ident)[0]

    assert list(one_by_one()) == ["one_by_one"]
    (lambda: lock.acquire())()
    assert site(lock._ident)[0] == "<lambda>"
    lock.release()


def test_the_same_instruction_of_another_function_is_another_place(language: str) -> None:
    lock = Lock()

    def one() -> None:
        with lock:
            pass

    def other() -> None:
        with lock:
            pass

    for function in (one, other, one):
        function()
        assert lock._ident.code is function.__code__


def test_a_lock_of_the_library_has_the_place_of_its_user(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Lock", Lock)
    channel: queue.Queue[int] = queue.Queue()
    mutex: Any = channel.mutex
    assert type(mutex) is InnerLock
    channel.put(1)
    assert site(mutex._ident) == (sys._getframe().f_code.co_name, here() - 1)
    channel.get()
    assert site(mutex._ident) == (sys._getframe().f_code.co_name, here() - 1)


def test_a_module_that_is_met_the_first_time_is_told_apart(language: str) -> None:
    lock = InnerRLock._around(_thread.RLock(), (None, 0))
    users, outer = "inside", sys._getframe().f_code.co_name
    for name, expected in ((__name__, users), ("queue", outer), ("never_met", users), ("sched", outer), (None, users)):
        makers._kinds.pop("never_met", None)
        makers._kinds.pop("sched", None)
        space: dict[str, Any] = {"lock": lock} if name is None else {"lock": lock, "__name__": name}
        exec("def inside():\n    with lock:\n        pass", space)
        space["inside"]()
        assert site(lock._ident)[0] == expected


def test_a_lock_that_is_taken_where_there_is_no_frame_has_no_place() -> None:
    with written_in("c"):
        lock = Lock()
        _thread.start_new_thread(lock.acquire, ())
        while not lock.locked() or lock._me is None:
            pass
        assert lock._ident.code is None
        lock.release()


@pytest.mark.parametrize("make", [Lock, RLock])
@pytest.mark.parametrize("way", ["with", "acquire", "try"])
def test_an_exception_while_it_is_noted_leaves_it_free(make: Any, way: str) -> None:
    """As that of a signal's handler, which may come in any function in Python: with C only ``learn`` is one."""
    with written_in("c"):
        outer, lock = Lock(), make()
        take = {"with": lock.__enter__, "acquire": lock.acquire, "try": lambda: lock.acquire(False)}[way]
        code = chains.learn.__code__

        def interrupt(frame: Any, event: str, argument: object) -> None:
            if event == "call" and frame.f_code is code:
                sys.setprofile(None)
                raise KeyboardInterrupt

        chains.renew()
        with outer:
            sys.setprofile(interrupt)
            try:
                with pytest.raises(KeyboardInterrupt):
                    take()
            finally:
                sys.setprofile(None)
            assert lock._me is None
            assert chains.here.me.chain.held() == [outer._ident]
            assert free(lock)
        with outer, lock:
            assert chains.here.me.chain.held() == [lock._ident, outer._ident]
        assert [seen.ident for seen in chains.renew().seen] == [lock._ident]


@pytest.mark.parametrize("make", [Lock, RLock])
def test_an_exception_while_it_is_let_go_lets_it_go(make: Any) -> None:
    with written_in("c"):
        outer, inner, last = make(), Lock(), Lock()
        code = chains.leave.__code__

        def interrupt(frame: Any, event: str, argument: object) -> None:
            if event == "call" and frame.f_code is code:
                sys.setprofile(None)
                raise KeyboardInterrupt

        outer.acquire()
        inner.acquire()
        sys.setprofile(interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                outer.release()  # not what was taken last
        finally:
            sys.setprofile(None)
        assert free(outer)
        chains.renew()
        with last:  # noted with what is held now
            pass
        inner.release()
        assert [seen.held for seen in chains.renew().seen] == [(inner._ident,)]
        assert chains.here.me.chain.ident is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the signal came within a finalizer
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer that sends signals")
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread")
def test_two_thousand_signals_that_raise_leave_no_lock_held() -> None:
    """A signal's handler may raise anywhere in Python; a raw lock is never left held by that, nor are these."""

    class Interrupted(Exception):
        pass

    armed = False

    def interrupt(*_: object) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with written_in("c"):
            outer, inner = Lock(), RLock()
            for turn in range(2_000):
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + turn % 37 * 1e-6, 0.0005)
                try:
                    armed = True
                    for _ in range(500):  # not for ever: what is raised within a finalizer is dropped
                        with outer, inner:
                            pass
                        chains.renew()
                    armed = False
                except Interrupted:
                    pass
                signal.setitimer(signal.ITIMER_REAL, 0)
                assert not outer.locked()
                assert not inner._is_owned()
                assert chains.here.me.chain.ident is None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def free(lock: Any) -> bool:
    """Whether another thread can take it."""
    got: list[bool] = []

    def ask() -> None:
        got.append(lock._raw.acquire(False))
        if got[0]:
            lock._raw.release()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return got[0]


@pytest.mark.parametrize("make", [Lock, RLock])
def test_an_exception_while_it_waits_is_passed_on(make: Any, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = make()
    holder = threading.Thread(target=lock.acquire)
    holder.start()
    holder.join()

    def look(wait: waits.Wait) -> None:
        assert wait.frame is not None
        raise ZeroDivisionError(wait.frame.f_code.co_name)

    monkeypatch.setattr(waits, "begun", [look])
    name = sys._getframe().f_code.co_name
    with pytest.raises(ZeroDivisionError, match=name):
        lock.acquire()
    with pytest.raises(ZeroDivisionError, match=name):
        lock.acquire(timeout=3)
    with pytest.raises(ZeroDivisionError, match=name), lock:
        pass
    assert lock.acquire(False) is False
    assert chains.here.me.chain.ident is None


@pytest.mark.parametrize(
    "given",
    [
        ((), {}),
        ((True,), {}),
        ((1,), {}),
        ((False,), {}),
        ((0, -1), {}),
        ((), {"blocking": False}),
        ((True,), {"timeout": 1}),
        ((True, 0.5), {}),
        ((), {"timeout": 0}),
        ((), {"timeout": -1.0}),
        ((False, 1), {}),
        ((True, -2), {}),
        ((True, 1e40), {}),
        ((True, float("nan")), {}),
        ((1.0,), {}),
        ((1, -1), {}),
        ((2,), {}),
        ((1 << 80,), {}),
        (("yes",), {}),
        ((True, "1"), {}),
        (("yes", None), {}),
        ((True, 1, 2), {}),
        ((True,), {"blocking": True}),
        ((), {"wait": 1}),
    ],
)
@pytest.mark.parametrize("make", [(Lock, _thread.allocate_lock), (RLock, _thread.RLock)])
def test_it_can_be_asked_as_a_raw_one_can(make: Any, given: Any, language: str) -> None:
    def asked(lock: Any) -> object:
        arguments, named = given
        try:
            return lock.acquire(*arguments, **named)
        except Exception as error:
            return type(error)

    ours, theirs = (each() for each in make)
    assert asked(ours) == asked(theirs)
    assert (ours._me is not None) is ("locked" in repr(ours).split()[0] and "unlocked" not in repr(ours))
    if ours._me is not None:
        ours.release()
    assert chains.here.me.chain.ident is None


@pytest.mark.slow
@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_million_operations_leave_no_reference(make: Any, notes: Any) -> None:
    with written_in("c"):
        lock, outer, failing = make(), Lock(), Lock()
        me = chains.here.me

        def turn(times: int) -> None:
            for _ in range(times):
                with outer, lock:
                    pass
                with lock:
                    pass
                lock.acquire()
                lock.release()
                lock.acquire(False)
                lock.release()
                lock.acquire(True, 1)
                lock.release()
                outer.acquire()
                lock.acquire()
                outer.release()
                lock.release()
                try:
                    failing.release()
                except RuntimeError:
                    pass

        turn(100)
        gc.collect()
        watched = (lock, outer, me, lock._ident, me.chain, chains.MUTE, lock._ident.code, lock._raw)
        counts = [sys.getrefcount(each) for each in watched]
        tracemalloc.start()
        try:
            turn(2_000)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            turn(2_000)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        turn(80_000)
        gc.collect()
        assert [sys.getrefcount(each) for each in watched] == counts
        assert grown < 2_000  # less than a byte for each time round


@pytest.mark.slow
@pytest.mark.parametrize("make", [Lock, RLock])
def test_orders_that_are_seen_first_leave_nothing_when_their_leaf_is_over(make: Any, notes: Any) -> None:
    with written_in("c"):

        def turn(times: int) -> None:
            for _ in range(times):
                outer, lock = make(), make()
                with outer:
                    with lock:
                        pass
                    if lock.acquire(False):
                        lock.release()
                chains.renew()

        turn(300)
        gc.collect()
        shared = sys.getrefcount(makers._last)
        tracemalloc.start()
        try:
            turn(1_000)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            turn(1_000)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert grown < 2_000
        assert sys.getrefcount(makers._last) <= shared + 1


def test_what_is_chosen_by_the_environment() -> None:
    program = (
        "from coresys.threads.watching import locks, speed\n"
        "with locks.Lock() as taken: print(taken, speed.in_use(), type(vars(locks.Lock)['acquire']).__name__)"
    )
    for pure, expected in (("1", "True False function"), ("0", "True True method_descriptor")):
        if pure == "0" and not speed.built():
            continue
        ran = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "CORESYS_PURE_LOCKS": pure, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == expected


def test_methods_can_be_changed_while_a_lock_is_held() -> None:
    with written_in("c"):
        lock, again = Lock(), RLock()
        lock.acquire()
        again.acquire()
        with again:
            speed.use_python()
            lock.release()
            lock.acquire()
        again.release()
        speed.use_c()
        lock.release()
        assert chains.here.me.chain.ident is None


def test_a_thread_that_has_ended_is_forgotten(language: str) -> None:
    before = len(chains.parties())
    lock = Lock()

    def take() -> None:
        with lock:
            pass

    for _ in range(20):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    gc.collect()
    assert len(chains.parties()) <= before


def test_a_finalizer_that_locks_while_its_thread_ends(language: str) -> None:
    """What a thread holds in its locals goes when it has gone from the watch: nothing of that may be used again."""
    lock, done = Lock(), threading.Event()
    local = threading.local()

    class Locks:
        def __del__(self) -> None:
            with lock:
                pass
            done.set()

    def run() -> None:
        with lock:
            local.kept = Locks()

    for _ in range(50):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert done.wait(10)
        done.clear()
    assert lock._me is None
