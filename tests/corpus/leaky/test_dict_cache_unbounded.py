"""A cache whose key contains a request id, so that it never hits."""
import uuid

LEAKS = "memory.growth"

_cache = {}


def fetch(user, request_id):
    key = (user, request_id)
    if key not in _cache:
        _cache[key] = {"user": user, "name": user.title()}
    return _cache[key]


def test_fetch():
    rid = uuid.uuid4().hex
    assert fetch("ann", rid) is fetch("ann", rid)
