"""A module-wide executor made on first use and used again."""
from concurrent.futures import ThreadPoolExecutor

_pool = None


def pool():
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=2)
    return _pool


def test_pool():
    assert pool().submit(sum, [1, 2]).result() == 3
