"""A queue of linked nodes, of which the first goes when there are a thousand."""
import uuid


class Fifo:
    def __init__(self, most):
        self.most, self.size = most, 0
        self.first = self.last = [None, None]

    def put(self, value):
        node = [value, None]
        self.last[1] = node
        self.last = node
        self.size += 1
        if self.size > self.most:
            self.first = self.first[1]
            self.size -= 1


fifo = Fifo(1000)


def test_put():
    fifo.put(uuid.uuid4().hex)
    assert fifo.size <= fifo.most
