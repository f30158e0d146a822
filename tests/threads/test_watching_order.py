"""Locks that are watched: the order in which they are taken is noted, and each behaves as the interpreter's own."""

from __future__ import annotations

import _thread
import copy
import pickle
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest
from languages import LANGUAGES, written_in

from coresys.threads.watching import chains
from coresys.threads.watching.graph import Cycle, cycles
from coresys.threads.watching.install import install, installed, uninstall
from coresys.threads.watching.locks import Lock, RLock
from coresys.threads.watching.places import edges_of, node_of


@pytest.fixture(autouse=True, params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    """All of this holds for the methods in Python and for those in C."""
    with written_in(request.param):
        yield request.param


@pytest.fixture
def found() -> Iterator[Callable[[], list[Cycle]]]:
    """The circles in what was taken since the test began."""
    chains.renew()

    def read() -> list[Cycle]:
        return cycles(edges_of(chains.renew())[1])

    yield read
    chains.renew()


def take(*locks: Any) -> None:
    with ExitStack() as stack:
        for lock in locks:
            stack.enter_context(lock)


def in_thread(function: Callable[..., object], *given: object) -> None:
    thread = threading.Thread(target=function, args=given)
    thread.start()
    thread.join()


@pytest.mark.parametrize("make", [Lock, RLock])
def test_both_orders_are_a_circle_though_nothing_hung(make: Any, found: Any) -> None:
    one, other = make(), make()
    in_thread(take, one, other)
    in_thread(take, other, one)
    (cycle,) = found()
    assert [(edge.source, edge.target) for edge in cycle] == [
        (one._ident.serial, other._ident.serial),
        (other._ident.serial, one._ident.serial),
    ]
    assert {edge.held_at.path for edge in cycle} == {__file__}  # not of the library, which took them for us
    assert {edge.taken_at.function for edge in cycle} == {"take"}


def test_one_order_is_none(found: Any) -> None:
    one, other, third = Lock(), RLock(), Lock()
    for _ in range(3):
        in_thread(take, one, other, third)
        take(one, third)
    assert found() == []


def test_a_gate_excuses(found: Any) -> None:
    gate, one, other = Lock(), Lock(), Lock()
    take(gate, one, other)
    take(gate, other, one)
    assert found() == []


def test_a_gate_that_is_not_always_held_excuses_nothing(found: Any) -> None:
    gate, one, other = Lock(), Lock(), Lock()
    take(gate, one, other)
    take(one, other)
    take(gate, other, one)
    assert len(found()) == 1


def test_a_try_and_a_timed_wait_make_no_order_into_the_lock(found: Any) -> None:
    one, other = Lock(), Lock()
    take(one, other)
    with other:
        assert one.acquire(blocking=False)
        one.release()
        assert one.acquire(timeout=5)
        one.release()
    assert found() == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wait_that_is_asked_for_by_a_one_makes_an_order(language: str, found: Any) -> None:
    one, other = Lock(), RLock()
    with written_in(language):
        with one:
            other.acquire(1)
            other.release()
        with other:
            one.acquire(blocking=1)
            one.release()
    assert len(found()) == 1


def test_what_was_tried_is_held_all_the_same(found: Any) -> None:
    one, other = Lock(), Lock()
    take(other, one)
    assert one.acquire(blocking=False)
    with other:
        pass
    one.release()
    assert len(found()) == 1


def test_hand_over_hand_is_no_circle(found: Any) -> None:
    links = [Lock() for _ in range(20)]
    links[0].acquire()
    for before, after in zip(links, links[1:], strict=False):
        after.acquire()
        before.release()
    links[-1].release()
    assert found() == []
    assert chains.here.me.chain.ident is None


def test_a_lock_that_another_thread_lets_go_is_held_by_nobody(found: Any) -> None:
    signal, one = Lock(), Lock()
    signal.acquire()
    in_thread(signal.release)
    with one:
        pass
    take(one, signal)
    assert found() == []


def test_a_signal_that_stays_taken_is_no_gate(found: Any) -> None:
    signal, one, other = Lock(), Lock(), Lock()
    signal.acquire()
    in_thread(signal.release)
    signal.acquire()  # and so it stays, as after the last turn of two threads that take turns
    take(one, other)
    take(other, one)
    assert len(found()) == 1
    signal.release()


def test_taking_a_reentrant_lock_again_makes_no_order(found: Any) -> None:
    one, other = RLock(), Lock()
    with one, other, one:
        pass
    assert found() == []
    assert chains.here.me.chain.ident is None


def test_waiting_for_a_condition_lets_its_lock_go(found: Any) -> None:
    one: Any = RLock()
    other = Lock()
    condition = threading.Condition(one)
    with condition, condition:
        condition.wait(0.001)
        assert one._again == 1
        with other:
            pass
    assert chains.here.me.chain.ident is None
    assert found() == []


@pytest.mark.parametrize("make", [Lock, RLock])
def test_what_a_condition_takes_is_taken_where_the_condition_is(make: Any, found: Any) -> None:
    one, other = (threading.Condition(make()) for _ in range(2))
    for _ in range(2):  # the second time the order is known, and the places are not asked for
        with one, other:
            pass
    with other, one:
        pass
    (cycle,) = found()
    assert {place.path for edge in cycle for place in edge.sites} == {__file__}


def test_waiting_again_for_a_condition_with_another_lock_held_is_an_order(found: Any) -> None:
    one: Any = RLock()
    other = Lock()
    condition = threading.Condition(one)
    with condition, other:
        condition.wait(0.001)
    assert len(found()) == 1


@pytest.mark.parametrize(("ours", "theirs"), [(Lock, _thread.allocate_lock), (RLock, _thread.RLock)])
def test_it_is_what_the_interpreters_own_is(ours: Any, theirs: Any) -> None:
    watched: Any = ours()
    raw: Any = theirs()
    assert [isinstance(each, kind) for each in (watched, raw) for kind in (type(raw), ours)] == [True] * 4
    assert type(watched).__module__ == type(raw).__module__
    assert type(watched).__name__ == type(raw).__name__
    assert repr(watched).partition(" at ")[0] == repr(raw).partition(" at ")[0]
    kept: Any = weakref.ref(watched)()
    assert kept is watched
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot pickle"):
            attempt(watched)
    with pytest.raises(RuntimeError):
        watched.release()
    with pytest.raises(ValueError, match="timeout"):
        watched.acquire(False, 1)
    with pytest.raises(ValueError, match="timeout"):
        watched.acquire(True, -2)
    with pytest.raises(TypeError):
        type("Mine", (ours,), {})
    assert {name for name in dir(raw) if name not in dir(watched)} == set()
    assert eval("kind | None", {"kind": ours})


def test_arguments_are_taken_where_they_always_were() -> None:
    with pytest.raises(TypeError):
        Lock(1)  # type: ignore[call-arg]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        RLock(1, name="state")
        threading.RLock(1, name="state")  # type: ignore[call-arg]
    ours, theirs = (said[0::2], said[1::2])
    assert [(each.category, str(each.message)) for each in ours] == [
        (each.category, str(each.message)) for each in theirs
    ]
    assert {each.filename for each in ours} <= {__file__}


@pytest.mark.parametrize("name", ["Lock", "RLock"])
@pytest.mark.parametrize("pickler", [pickle.dumps, pickle._dumps])  # type: ignore[attr-defined]
def test_the_factory_itself_goes_through_pickle_as_the_name_it_is(name: str, pickler: Any) -> None:
    raw = getattr(threading, name)
    assert pickle.loads(pickler({"Lock": Lock, "RLock": RLock}[name])) is raw
    install()
    try:
        made = pickler(getattr(threading, name))
        assert pickle.loads(made) is getattr(threading, name)
    finally:
        uninstall()
    assert pickle.loads(made) is raw


def test_in_its_place_from_install_to_uninstall() -> None:
    before = threading.Lock, threading.RLock
    was = installed()
    install()
    try:
        lock, condition, event = vars(threading)["Lock"], vars(threading)["Condition"], vars(threading)["Event"]
        assert lock is Lock
        assert type(lock()) is Lock
        assert type(condition()._lock) is not _thread.RLock
        assert type(event()._cond._lock) is _thread.LockType
    finally:
        uninstall()
    assert (threading.Lock, threading.RLock) == before
    assert installed() is was


@pytest.fixture
def older() -> Iterator[Any]:
    """A user's module that is older than the watch, which holds one lock under several names."""
    module = ModuleType("older_than_the_watch")
    module.lock = threading.Lock()  # type: ignore[attr-defined]
    module.same = module.lock  # type: ignore[attr-defined]
    module.Kept = type("Kept", (), {"lock": module.lock, "own": threading.RLock(), "__module__": module.__name__})  # type: ignore[attr-defined]
    module.Others = type("Others", (), {"own": threading.Lock(), "__module__": "others"})  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.mark.skipif(installed(), reason="what is older than the watch is made here, and the watch is there")
def test_locks_that_are_older_stay_one_lock_under_all_their_names(older: Any) -> None:
    before = id(older.lock), id(older.Kept.own)
    install()
    try:
        assert type(older.lock) is Lock
        assert older.lock is older.same is older.Kept.lock
        assert id(older.lock._raw) == before[0]
        assert type(older.Kept.own) is RLock
        assert type(older.Others.own) is _thread.LockType
        node = node_of(older.Kept.own._ident)
        assert (node.name, node.scope) == ("older_than_the_watch.Kept.own", "module")
    finally:
        uninstall()
    assert (id(older.lock), id(older.Kept.own)) == before
    assert older.same is older.Kept.lock is older.lock


@pytest.mark.skipif(installed(), reason="what is older than the watch is made here, and the watch is there")
@pytest.mark.parametrize("keep", [threading.Condition, lambda lock: lock.release, lambda lock: [lock]])
def test_an_older_lock_that_something_else_takes_too_is_left_alone(keep: Any, older: Any) -> None:
    """Who waits for a condition would let the raw one go, and be told to hold it for ever."""
    older.lock = older.Kept.own
    older.kept = keep(older.lock)
    install()
    try:
        assert type(older.lock) is type(older.Kept.own) is _thread.RLock
        assert type(older.same) is Lock
    finally:
        uninstall()


@pytest.mark.skipif(installed(), reason="what is older than the watch is made here, and the watch is there")
def test_who_waits_for_a_condition_that_is_older_holds_nothing_afterwards(older: Any) -> None:
    older.condition, told = threading.Condition(older.lock), []
    install()
    try:
        chains.renew()

        def tell() -> None:
            with older.lock:
                told.append(True)
                older.condition.notify()

        thread = threading.Thread(target=tell)
        with older.lock:
            thread.start()
            while not told:
                older.condition.wait()
        thread.join()
        assert chains.here.me.chain.ident is None
    finally:
        uninstall()


@pytest.mark.skipif(installed(), reason="the watch is there")
def test_nothing_is_put_where_gevent_has_put_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ``Thread`` has no ``join`` of its own, and its threads are many in one of the system's."""
    monkeypatch.setattr(threading, "Thread", type("Thread", (threading.Thread,), {"__module__": "gevent.threading"}))
    before = threading.Lock, threading.RLock
    install()
    try:
        assert (threading.Lock, threading.RLock) == before
        assert not installed()
    finally:
        uninstall()
    monkeypatch.undo()
    install()
    assert installed()
    monkeypatch.setattr(threading, "get_ident", lambda: 1)
    assert not installed()
    uninstall()
    assert (threading.Lock, threading.RLock) == before


def test_whoever_wants_reentrant_locks_in_python_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """gevent says so by ``_CRLock``, and ends with an error where it gets others."""
    monkeypatch.setattr(threading, "_CRLock", None)
    assert type(RLock()) is threading._PyRLock  # type: ignore[attr-defined]


def test_nothing_grows_while_nothing_is_noted() -> None:
    one, other = Lock(), Lock()
    with chains.unnoted():
        take(one, other)
        take(other, one)
        assert not chains.current.seen
        assert chains.here.me.chain is chains.MUTE
    take(one, other)
    assert len(chains.renew().seen) == 1


@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_lock_that_is_made_new_in_a_forked_child_is_held_no_more(make: Any, found: Any) -> None:
    """As logging's are: taken before the fork, and free in the child."""
    gate, one, other = make(), Lock(), Lock()
    gate.acquire()
    gate._at_fork_reinit()
    assert chains.here.me.chain.ident is None
    take(one, other)
    take(other, one)
    assert len(found()) == 1


def test_nothing_grows_below_what_is_held_since_before() -> None:
    held = Lock()
    with held:
        chain = chains.here.me.chain
        with chains.unnoted():
            for _ in range(5):
                take(Lock(), RLock())
            assert not chain
        one, other = Lock(), Lock()
        take(one, other)
    take(other, one)
    assert chains.here.me.chain.ident is None
    assert len(cycles(edges_of(chains.renew())[1])) == 1


def test_what_is_taken_below_a_lock_that_stays_held_is_noted_for_each_test() -> None:
    held, one = Lock(), Lock()
    chains.renew()
    with held:
        take(one)
        assert [seen.ident for seen in chains.renew().seen] == [one._ident]
        take(one)
        assert [seen.ident for seen in chains.renew().seen] == [one._ident]


@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_lock_that_is_gone_is_held_by_nobody(make: Any, found: Any) -> None:
    lost, one, other = make(), Lock(), Lock()
    lost.acquire()
    del lost
    take(one, other)
    take(other, one)
    assert chains.here.me.chain.ident is None
    assert len(found()) == 1


def test_what_is_gone_is_forgotten_when_a_test_begins(found: Any) -> None:
    Lock().acquire()
    chains.renew()
    assert chains.here.me.chain.ident is None


def test_threads_that_do_the_same_by_the_thousand_are_noted_some_times(found: Any) -> None:
    one, other = Lock(), Lock()

    def work() -> None:
        with one, other:
            pass

    for _ in range(50):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(chains.current.seen) == 32
    assert not chains.current.full
    assert found() == []


def test_one_thread_that_does_the_same_by_the_thousand_keeps_no_other_from_being_noted(found: Any) -> None:
    one, other = Lock(), Lock()

    def work() -> None:
        for _ in range(50):
            chains.here.me.chain = chains.Chain(None, None)  # as for each piece of work of a pool
            with one, other:
                pass

    in_thread(work)
    in_thread(work)
    assert len({seen.by for seen in chains.current.seen}) == len(chains.current.seen) == 2
