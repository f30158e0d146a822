"""The results of a map are read under the lock that the tasks take."""
import threading
from concurrent.futures import ThreadPoolExecutor

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"


class Squares:
    def __init__(self, pool):
        self.pool, self.lock, self.seen, self.passed = pool, threading.Lock(), [], threading.Semaphore(0)

    def square(self, number):
        with self.lock:  # SITE
            self.seen.append(number)
        self.passed.release()
        return number * number

    def start(self, numbers):
        self.results = self.pool.map(self.square, numbers)

    def total(self):
        with self.lock:  # SITE
            return sum(self.results)  # SITE


def test_squares():
    with ThreadPoolExecutor(2) as pool:
        squares = Squares(pool)
        squares.start(range(4))
        for _ in range(4):
            squares.passed.acquire()
        assert squares.total() == 14
    assert sorted(squares.seen) == [0, 1, 2, 3]
