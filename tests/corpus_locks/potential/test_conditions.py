"""Two conditions, the one notified from under the other, either way."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Pipe:
    def __init__(self):
        self.readable = threading.Condition()
        self.writable = threading.Condition()
        self.items, self.room = [], 2

    def write(self, item):
        with self.writable:  # SITE
            self.room -= 1
            with self.readable:  # SITE
                self.items.append(item)
                self.readable.notify()

    def read(self):
        with self.readable:  # SITE
            item = self.items.pop()
            with self.writable:  # SITE
                self.room += 1
                self.writable.notify()
            return item


def test_what_is_written_is_read():
    pipe = Pipe()
    writer = threading.Thread(target=pipe.write, args=("a",))
    writer.start()
    writer.join()
    assert pipe.read() == "a"
