"""__del__ puts the object back into a pool that is never bounded."""
import gc

LEAKS = "memory.growth"

pool = []


class Buffer:
    def __init__(self):
        self.data = bytearray(256)
        self.me = self

    def __del__(self):
        self.me = None
        pool.append(self)


def test_buffer():
    b = Buffer()
    assert len(b.data) == 256
    b.me = None
