"""What a handler of a signal, or a stack that is full, may do to a watched lock: no more than to a raw one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from interrupting import NOT_TRACED, Hitting
from languages import LANGUAGES, written_in

from coresys.errors.hierarchy import DeadlockError
from coresys.threads.watching import chains, raw, waits
from coresys.threads.watching.locks import InnerLock, InnerRLock, Lock, RLock

SAME_HANDLER = sys.version_info >= (3, 11)
FILES = {waits.__file__}


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    with written_in(request.param):
        yield request.param


def held_by_another(lock: Any) -> Callable[[], None]:
    """Have another thread hold ``lock``; what is returned has it let go, and waits until it has."""
    taken, leave = threading.Event(), threading.Event()

    def hold() -> None:
        lock.acquire()
        taken.set()
        leave.wait()
        lock.release()

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    taken.wait()

    def let_go() -> None:
        leave.set()
        thread.join()

    return let_go


def is_free(lock: Any) -> bool:
    """Whether another thread gets it."""
    got: list[bool] = []

    def ask() -> None:
        got.append(lock.acquire(False))
        if got[0]:
            lock.release()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return got[0]


def around(cls: Any) -> Any:
    """One of a class that is for locks of the library too."""
    return cls._around(raw.RLock() if issubclass(cls, RLock) else raw.allocate_lock(), (None, 0))


def enter(lock: Any) -> None:
    lock.__enter__()  # the handler comes while it is taken, not in the block


@NOT_TRACED
@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_handler_that_raises_while_a_lock_is_waited_for_leaves_it_free(
    make: Any, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if language == "python" and not SAME_HANDLER:
        pytest.skip("3.10 looks for signals where a method in Python has called one")
    raised, at = 0, 0
    while True:
        at += 1
        lock = make()
        let_go = held_by_another(lock)
        monkeypatch.setattr(waits, "begun", [lambda wait, let_go=let_go: let_go()])
        hitting = Hitting(FILES, at, same_handler=SAME_HANDLER)
        came = hitting.watching(partial(enter, lock))
        let_go()
        if hitting.raised:
            raised += 1
            assert is_free(lock), hitting.where
            assert chains.here.me.waiting is None
        elif lock._me is chains.here.me:
            lock.release()
        assert chains.here.me.chain.ident is None, hitting.where
        if not came:
            break
    assert raised > 5


@NOT_TRACED
def test_a_handler_that_raises_while_a_condition_takes_its_lock_again_leaves_it_taken(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised, at = 0, 0
    while True:
        at += 1
        lock = RLock()
        lock.acquire()
        lock.acquire()
        state = lock._release_save()
        let_go = held_by_another(lock)
        monkeypatch.setattr(waits, "begun", [lambda wait, let_go=let_go: let_go()])

        def hit(let_go: Callable[[], None] = let_go) -> None:
            let_go()  # else it is waited for first: a raw one is waited for in the same way
            raise KeyboardInterrupt

        hitting = Hitting(FILES, at, hit, same_handler=SAME_HANDLER)
        came = hitting.watching(partial(lock._acquire_restore, state))
        raised += hitting.raised
        assert lock._is_owned(), hitting.where
        assert not is_free(lock)
        lock.release()
        assert lock._is_owned()
        lock.release()
        assert is_free(lock)
        assert chains.here.me.chain.ident is None, hitting.where
        if not came:
            break
    assert raised > 5


def test_a_deadlock_of_whoever_takes_the_lock_of_its_condition_again_ends_the_wait(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = RLock()
    lock.acquire()
    state = lock._release_save()
    let_go = held_by_another(lock)
    told = DeadlockError(lock="lock", cycle=(), sites=(), threads=())
    told.__dict__["_coresys_told"] = True

    def look(wait: waits.Wait) -> None:
        raise told

    monkeypatch.setattr(waits, "begun", [look])
    with pytest.raises(DeadlockError):
        lock._acquire_restore(state)
    assert not lock._is_owned()
    assert chains.here.me.chain.ident is None
    let_go()
    assert is_free(lock)


@pytest.mark.parametrize("make", [Lock, RLock, InnerLock, InnerRLock])
@pytest.mark.parametrize("way", ["with", "acquire", "try", "out of order"])
def test_a_lock_at_the_end_of_the_stack_is_not_left_held(make: Any, way: str, language: str) -> None:
    """To note an order that is new takes some frames more than a raw lock does."""
    outer, lock = around(Lock), around(make)
    full = 0

    def take() -> None:
        if way == "with":
            with lock:
                pass
        elif way == "out of order":
            assert lock.acquire()
            try:
                outer.acquire()
                try:
                    lock.release()
                finally:
                    outer.release()
            finally:
                if lock._raw.locked() if make in (Lock, InnerLock) else lock._raw._is_owned():
                    lock.release()
        else:
            assert lock.acquire() if way == "acquire" else lock.acquire(False)
            lock.release()

    def deeper() -> None:
        nonlocal full
        try:
            deeper()
        except RecursionError:
            chains.renew()
            try:
                take()
            except RecursionError:
                full += 1
            raise

    with pytest.raises(RecursionError):
        deeper()
    assert full or language == "c"
    for each in (outer, lock):
        assert each._me is None
        assert is_free(each)
