"""A re-entrant lock around a slow write."""
import threading
import time

FINDS = "locks.contention"
COUNT = 1
NEEDS = "contention"


class Journal:
    def __init__(self):
        self.lock, self.lines = threading.RLock(), []

    def write(self, line):
        with self.lock:
            time.sleep(0.01)
            self.lines.append(line)

    def write_all(self, lines):
        with self.lock:  # SITE
            for line in lines:
                self.write(line)


def test_write():
    journal = Journal()
    threads = [threading.Thread(target=journal.write_all, args=("abc",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.lines) == 12
