"""Many readers or one writer, by a condition and a count."""
import threading
from contextlib import contextmanager


class ReadWrite:
    def __init__(self):
        self.changed, self.readers, self.writing = threading.Condition(threading.Lock()), 0, False

    @contextmanager
    def reading(self):
        with self.changed:
            self.changed.wait_for(lambda: not self.writing)
            self.readers += 1
        yield
        with self.changed:
            self.readers -= 1
            self.changed.notify_all()

    @contextmanager
    def writing_alone(self):
        with self.changed:
            self.changed.wait_for(lambda: not self.writing and not self.readers)
            self.writing = True
        yield
        with self.changed:
            self.writing = False
            self.changed.notify_all()


def test_readers_and_writers():
    lock, value, seen = ReadWrite(), [0], []

    def read():
        for _ in range(20):
            with lock.reading():
                seen.append(value[0])

    def write():
        for _ in range(10):
            with lock.writing_alone():
                value[0] += 1

    threads = [threading.Thread(target=work) for work in (read, write) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value == [30]
    assert len(seen) == 60
