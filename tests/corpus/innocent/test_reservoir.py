"""A fair sample of 200 values out of all that came by."""
import random


class Reservoir:
    def __init__(self, size):
        self.size = size
        self.seen = 0
        self.values = []

    def add(self, value):
        self.seen += 1
        if len(self.values) < self.size:
            self.values.append(value)
        elif (at := random.randrange(self.seen)) < self.size:
            self.values[at] = value


latency = Reservoir(200)


class TestReservoir:
    def test_add(self):
        latency.add(random.random())
        assert len(latency.values) <= 200
