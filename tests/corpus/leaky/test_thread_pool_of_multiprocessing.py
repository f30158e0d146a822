"""multiprocessing's ThreadPool neither closed nor joined."""
from multiprocessing.pool import ThreadPool

LEAKS = "threads.leaked"
_pools = []


def parallel(fn, items):
    pool = ThreadPool(1)
    _pools.append(pool)
    return pool.map(fn, items)


def test_parallel():
    assert parallel(abs, [-1, -2]) == [1, 2]
