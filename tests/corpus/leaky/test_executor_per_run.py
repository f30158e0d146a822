"""An executor made per service, never shut down."""
from concurrent.futures import ThreadPoolExecutor

LEAKS = "threads.leaked"

services = []


class Service:
    def __init__(self):
        self.pool = ThreadPoolExecutor(max_workers=2)
        services.append(self)

    def compute(self, n):
        return self.pool.submit(pow, n, 2).result()


def test_compute():
    assert Service().compute(4) == 16
