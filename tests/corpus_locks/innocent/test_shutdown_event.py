"""A loop that sleeps by waiting for the event that ends it, which is joined without a lock."""
import threading


class Ticker(threading.Thread):
    def __init__(self):
        super().__init__()
        self.ended, self.lock, self.ticks = threading.Event(), threading.Lock(), 0

    def run(self):
        while not self.ended.wait(0.005):
            with self.lock:
                self.ticks += 1

    def stop(self):
        with self.lock:
            self.ended.set()
        self.join()


def test_ticks():
    ticker = Ticker()
    ticker.start()
    while not ticker.ticks:
        threading.Event().wait(0.001)
    ticker.stop()
    assert ticker.ticks
