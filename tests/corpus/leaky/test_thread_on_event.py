"""A worker parked on an Event that nobody sets."""
import threading

LEAKS = "threads.leaked"


class Worker:
    def __init__(self):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.stop.wait()


def test_worker():
    assert Worker().thread.is_alive()
