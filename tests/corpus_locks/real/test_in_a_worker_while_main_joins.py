"""A worker hangs on its own lock, and the main thread joins it."""
import threading

FINDS = "locks.deadlocks"
NEEDS = "live"


def test_worker():
    lock, log = threading.Lock(), []

    def write():
        with lock:  # SITE
            log.append(1)

    def run():
        with lock:  # SITE
            write()

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    worker.join()
    assert log == []
