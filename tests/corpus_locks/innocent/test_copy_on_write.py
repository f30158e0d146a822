"""Writers copy under a lock, readers look without one, and call out without one."""
import threading


class Signal:
    def __init__(self):
        self.lock, self.receivers = threading.Lock(), ()

    def connect(self, receiver):
        with self.lock:
            self.receivers = (*self.receivers, receiver)

    def send(self, value):
        return [receiver(value) for receiver in self.receivers]


def test_receivers_connect_others():
    one, other, own_lock = Signal(), Signal(), threading.Lock()

    def receiver(value):
        with own_lock:
            other.connect(lambda value: value + 1)
        return value

    one.connect(receiver)
    assert one.send(1) == [1]
    with own_lock:
        one.connect(len)
    assert other.send(1) == [2]
