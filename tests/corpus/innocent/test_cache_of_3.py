"""A dictionary that evicts beyond 3 entries."""
import itertools

cache = {}
ids = itertools.count()


def put(key, value):
    cache[key] = value
    while len(cache) > 3:
        cache.pop(next(iter(cache)))


def test_put():
    put(next(ids), bytes(20_000))
    assert len(cache) <= 3
