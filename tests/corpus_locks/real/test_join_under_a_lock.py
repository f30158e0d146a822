"""stop() joins the worker while it holds the lock that the worker waits for."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


class Worker:
    def __init__(self):
        self.lock, self.done = threading.Lock(), []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        with self.lock:  # SITE
            self.done.append(1)

    def stop(self):
        with self.lock:
            self.thread.start()
            self.thread.join()  # SITE


def test_stop():
    Worker().stop()
