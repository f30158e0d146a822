"""stop() joins the poller while it holds the lock that the poller takes in each round."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"


class Poller:
    def __init__(self):
        self.lock = threading.Lock()
        self.polled, self.last = threading.Event(), None
        self.thread = threading.Thread(target=self.poll)

    def poll(self):
        with self.lock:  # SITE
            self.last = 42
        self.polled.set()

    def stop(self):
        with self.lock:  # SITE
            self.thread.join()  # SITE
            return self.last


def test_stop():
    poller = Poller()
    poller.thread.start()
    assert poller.polled.wait(10)  # past the lock, so that nothing hangs here
    assert poller.stop() == 42
