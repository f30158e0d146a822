"""The pool is shut down under the lock that its tasks take."""
import threading
from concurrent.futures import ThreadPoolExecutor

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"


class Service:
    def __init__(self):
        self.lock, self.pool, self.seen = threading.Lock(), ThreadPoolExecutor(2), []
        self.done = threading.Event()

    def handle(self, request):
        with self.lock:  # SITE
            self.seen.append(request)
        self.done.set()

    def close(self):
        with self.lock:  # SITE
            self.pool.shutdown(wait=True)  # SITE


def test_close():
    service = Service()
    service.pool.submit(service.handle, "one")
    assert service.done.wait(10)
    service.close()
    assert service.seen == ["one"]
