"""A queue of linked nodes, whose first is taken by nobody."""
import uuid

LEAKS = "memory.growth"


class Fifo:
    def __init__(self):
        self.size = 0
        self.first = self.last = [None, None]

    def put(self, value):
        node = [value, None]
        self.last[1] = node
        self.last = node
        self.size += 1


fifo = Fifo()


def test_put():
    fifo.put(uuid.uuid4().hex)
    assert fifo.size
