"""A cache that forgets after 50 ms: fills, then levels off."""
import itertools
import time

entries = {}
serial = itertools.count()


def put(value, ttl=0.05):
    now = time.monotonic()
    for key in [k for k, (t, _) in entries.items() if t < now]:
        del entries[key]
    entries[next(serial)] = now + ttl, value


def test_put():
    put(b"v" * 500)
    assert entries
