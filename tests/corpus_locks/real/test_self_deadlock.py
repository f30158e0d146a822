"""A method that takes the lock calls another one that takes it too: a Lock is not re-entrant."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


class Counter:
    def __init__(self):
        self.lock, self.value = threading.Lock(), 0

    def add(self):
        with self.lock:  # SITE
            self.value += 1

    def add_twice(self):
        with self.lock:  # SITE
            self.add()
            self.add()


def test_add_twice():
    counter = Counter()
    counter.add_twice()
    assert counter.value == 2
