"""A registry keeps all; that a cache, which nobody uses, keeps what it calls by the same name to a size is no help."""
import uuid

LEAKS = "memory.growth"


class Cache:
    def __init__(self, limit):
        self.limit, self.data = limit, {}

    def put(self, key, value):
        self.data[key] = value
        while len(self.data) > self.limit:
            self.data.pop(next(iter(self.data)))


class Registry:
    def __init__(self):
        self.data = {}

    def register(self, key):
        self.data[key] = {"key": key}


cache, registry = Cache(900), Registry()


def test_register():
    registry.register(uuid.uuid4().hex)
