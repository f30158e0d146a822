"""A flush waits until all items are done, under the lock that each item takes."""
import queue
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"


class Spooler:
    def __init__(self):
        self.lock, self.items, self.printed = threading.Lock(), queue.Queue(), []
        self.idle = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while (item := self.items.get()) is not None:
            with self.lock:  # SITE
                self.printed.append(item)
            self.items.task_done()
            self.idle.set()

    def flush(self):
        with self.lock:  # SITE
            self.items.join()  # SITE
            return list(self.printed)


def test_flush():
    spooler = Spooler()
    spooler.items.put("page")
    assert spooler.idle.wait(10)
    assert spooler.flush() == ["page"]
    spooler.items.put(None)
    spooler.thread.join()
