"""A cache limited by its bytes, 64 KB, whatever the number of entries."""
import itertools
import random
from collections import OrderedDict

_blobs = OrderedDict()
_size = 0
_keys = itertools.count()


def store(blob):
    global _size
    _blobs[next(_keys)] = blob
    _size += len(blob)
    while _size > 65536:
        _, old = _blobs.popitem(last=False)
        _size -= len(old)


def test_store():
    store(bytes(random.randrange(50, 1500)))
    assert _size <= 65536
