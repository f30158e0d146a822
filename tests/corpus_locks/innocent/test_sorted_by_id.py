"""Locks are taken in the order of their ids, as std::lock would."""
import threading
from contextlib import ExitStack


def lock_all(*locks):
    stack = ExitStack()
    for lock in sorted(locks, key=id):
        stack.enter_context(lock)
    return stack


def test_any_order():
    locks = [threading.Lock() for _ in range(5)]
    for turn in range(5):
        with lock_all(*locks[turn:], *locks[:turn]):
            assert all(lock.locked() for lock in locks)
    assert not any(lock.locked() for lock in locks)
