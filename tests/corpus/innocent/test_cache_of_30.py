"""An LRU of 30 entries on an OrderedDict, filled one a run."""
import uuid
from collections import OrderedDict


class LRU:
    def __init__(self, size):
        self.size = size
        self.data = OrderedDict()

    def get(self, key, make):
        if key in self.data:
            self.data.move_to_end(key)
        else:
            self.data[key] = make()
            if len(self.data) > self.size:
                self.data.popitem(last=False)
        return self.data[key]


lru = LRU(30)


def test_get():
    assert lru.get(uuid.uuid4(), lambda: "v" * 1000)
