"""A subclass of Thread whose close() joins itself under the lock that run() takes."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"


class Writer(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.mutex = threading.RLock()
        self.wake, self.lines = threading.Event(), []

    def run(self):
        self.wake.wait(10)
        with self.mutex:  # SITE
            self.lines.append("flushed")

    def close(self):
        self.wake.set()
        while not self.lines:
            threading.Event().wait(0.001)
        with self.mutex:  # SITE
            self.join()  # SITE


def test_close():
    writer = Writer()
    writer.start()
    writer.close()
    assert writer.lines == ["flushed"]
