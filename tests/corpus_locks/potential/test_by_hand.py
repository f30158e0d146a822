"""acquire() and release() by hand, let go in the order in which they were taken."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Ledger:
    def __init__(self):
        self.read, self.write, self.rows = threading.Lock(), threading.Lock(), []

    def append(self, row):
        self.write.acquire()  # SITE
        self.read.acquire()  # SITE
        try:
            self.rows.append(row)
        finally:
            self.write.release()
            self.read.release()

    def compact(self):
        self.read.acquire()  # SITE
        self.write.acquire()  # SITE
        try:
            self.rows = sorted(set(self.rows))
        finally:
            self.read.release()
            self.write.release()


def test_append_and_compact():
    ledger = Ledger()
    for row in (2, 1, 2):
        ledger.append(row)
    ledger.compact()
    assert ledger.rows == [1, 2]
