"""A thread is started under the lock that it takes first: start() waits only until it runs."""
import threading


class Service:
    def __init__(self):
        self.lock, self.thread, self.runs = threading.Lock(), None, 0

    def start(self):
        with self.lock:
            if self.thread is None:
                self.thread = threading.Thread(target=self.run)
                self.thread.start()

    def run(self):
        with self.lock:
            self.runs += 1


def test_start_twice():
    service = Service()
    service.start()
    service.start()
    service.thread.join()
    assert service.runs == 1
