"""A shared memory block, closed and unlinked; multiprocessing keeps a tracker process from the first on."""
from multiprocessing import shared_memory


def test_block():
    block = shared_memory.SharedMemory(create=True, size=10_000)
    try:
        block.buf[:3] = b"abc"
        assert bytes(block.buf[:3]) == b"abc"
    finally:
        block.close()
        block.unlink()
