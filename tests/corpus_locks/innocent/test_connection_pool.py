"""A pool of connections, bounded by a semaphore, with a lock around the list of the free ones."""
import threading
from contextlib import contextmanager


class Pool:
    def __init__(self, size):
        self.permits, self.lock = threading.BoundedSemaphore(size), threading.Lock()
        self.free, self.made = [], 0

    @contextmanager
    def connection(self):
        with self.permits:
            with self.lock:
                if not self.free:
                    self.made += 1
                    self.free.append(object())
                connection = self.free.pop()
            try:
                yield connection
            finally:
                with self.lock:
                    self.free.append(connection)


def test_four_for_two():
    pool = Pool(2)

    def work():
        for _ in range(50):
            with pool.connection():
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= pool.made <= 2
