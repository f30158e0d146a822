"""A generator holds a lock as long as somebody iterates, who takes another."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Store:
    def __init__(self):
        self.lock, self.rows = threading.Lock(), [1, 2, 3]

    def __iter__(self):
        with self.lock:  # SITE
            yield from self.rows


class Sum:
    def __init__(self, store):
        self.lock, self.store, self.total = threading.Lock(), store, 0

    def add(self, number):
        with self.lock:  # SITE
            self.total += number

    def refresh(self):
        with self.lock:  # SITE
            self.total = sum(self.store)


def test_sum():
    store = Store()
    total = Sum(store)
    for number in store:
        total.add(number)
    total.refresh()
    assert total.total == 6
