"""A lock that is held while each caller sleeps."""
import threading
import time

FINDS = "locks.contention"
COUNT = 1
NEEDS = "contention"


class Throttle:
    def __init__(self):
        self.lock, self.calls = threading.Lock(), 0

    def call(self):
        with self.lock:  # SITE
            time.sleep(0.01)
            self.calls += 1


def test_calls():
    throttle = Throttle()
    threads = [threading.Thread(target=lambda: [throttle.call() for _ in range(5)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert throttle.calls == 30
