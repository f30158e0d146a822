"""Timers that take the lock of whoever has started them, which joins them without it."""
import threading


class Lease:
    def __init__(self):
        self.lock, self.expired = threading.Lock(), False
        with self.lock:
            self.timer = threading.Timer(0.02, self.expire)
            self.timer.start()

    def expire(self):
        with self.lock:
            self.expired = True

    def wait(self):
        with self.lock:
            timer = self.timer
        timer.join()
        return self.expired


def test_expires():
    assert Lease().wait()
