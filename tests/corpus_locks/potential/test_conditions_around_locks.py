"""Conditions around locks that are there, which are taken by either name."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Buffer:
    def __init__(self):
        self.lock, self.index_lock = threading.Lock(), threading.Lock()
        self.filled = threading.Condition(self.lock)
        self.items, self.index = [], {}

    def add(self, item):
        with self.filled:  # SITE
            self.items.append(item)
            with self.index_lock:  # SITE
                self.index[item] = len(self.items)
            self.filled.notify()

    def find(self, item):
        with self.index_lock:  # SITE
            with self.lock:  # SITE
                return self.items[self.index[item] - 1]


def test_find():
    buffer = Buffer()
    buffer.add("a")
    assert buffer.find("a") == "a"
