"""``with a, b`` and ``with b, a``."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Pair:
    def __init__(self):
        self.a, self.b = threading.Lock(), threading.Lock()
        self.log = []

    def one(self):
        with self.a, self.b:  # SITE
            self.log.append(1)

    def two(self):
        with self.b, self.a:  # SITE
            self.log.append(2)


def test_pair():
    pair = Pair()
    pair.one()
    pair.two()
    assert pair.log == [1, 2]
