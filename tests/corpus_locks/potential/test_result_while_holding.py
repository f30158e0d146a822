"""A result is awaited under the lock that the task takes; in this test the task is through before."""
import threading
from concurrent.futures import ThreadPoolExecutor

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"


class Prices:
    def __init__(self, pool):
        self.pool, self.lock, self.known, self.future = pool, threading.Lock(), {}, None
        self.fetched = threading.Event()

    def start(self, name):
        self.future = self.pool.submit(self.fetch, name)

    def fetch(self, name):
        with self.lock:  # SITE
            self.known[name] = len(name)
        self.fetched.set()
        return name

    def last(self):
        with self.lock:  # SITE
            return self.known[self.future.result()]  # SITE


def test_fetch():
    with ThreadPoolExecutor(1) as pool:
        prices = Prices(pool)
        prices.start("tea")
        assert prices.fetched.wait(10)
        assert prices.last() == 3
