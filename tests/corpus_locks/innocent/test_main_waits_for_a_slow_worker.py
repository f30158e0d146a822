"""The main thread joins a worker that computes for seconds without touching a lock."""
import threading
import time


def test_slow():
    total = []

    def count():
        until, number = time.monotonic() + 5.5, 0
        while time.monotonic() < until:
            number += 1
        total.append(number)

    worker = threading.Thread(target=count)
    worker.start()
    worker.join()
    assert total[0] > 0
