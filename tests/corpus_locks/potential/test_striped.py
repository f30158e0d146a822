"""Striped locks, of which two are taken in the order of the keys, not of the stripes."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Striped:
    def __init__(self, stripes=8):
        self.locks = [threading.Lock() for _ in range(stripes)]
        self.values = {}

    def lock_of(self, key):
        return self.locks[key % len(self.locks)]

    def rename(self, old, new):
        with self.lock_of(old):  # SITE
            with self.lock_of(new):  # SITE
                self.values[new] = self.values.pop(old)


def test_rename():
    table = Striped()
    table.values[1] = "a"
    table.rename(1, 10)
    table.rename(10, 1)
    assert table.values == {1: "a"}
