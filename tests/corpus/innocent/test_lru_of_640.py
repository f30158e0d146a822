"""A cache of results that is full after 640 calls, which is when others are long convicted."""

import functools
import uuid


@functools.lru_cache(maxsize=640)
def looked_up(key):
    return [key]


def test_lookup():
    key = uuid.uuid4().hex
    assert looked_up(key) == [key]
