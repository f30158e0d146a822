"""The callback of a weak reference takes a lock, wherever the last reference happens to go."""
import threading
import weakref

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Interner:
    def __init__(self):
        self.lock, self.refs = threading.RLock(), {}

    def intern(self, key, value):
        with self.lock:
            self.refs[key] = weakref.ref(value, lambda _: self.forget(key))

    def forget(self, key):
        with self.lock:  # SITE
            self.refs.pop(key, None)

    def export(self, board):
        with self.lock:  # SITE
            with board.lock:  # SITE
                board.names = sorted(self.refs)


class Board:
    def __init__(self):
        self.lock, self.shown, self.names = threading.Lock(), None, []

    def clear(self):
        with self.lock:  # SITE
            self.shown = None


def test_what_is_cleared_is_forgotten():
    interner, board = Interner(), Board()
    board.shown = threading.Event()
    interner.intern("a", board.shown)
    interner.export(board)
    assert board.names == ["a"]
    board.clear()
    assert interner.refs == {}
