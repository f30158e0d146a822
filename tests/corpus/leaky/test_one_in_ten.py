"""Keeps a record of every tenth request only."""
import itertools

LEAKS = "memory.growth"

_number = itertools.count()
slow_log = []


def serve(path):
    n = next(_number)
    if n % 10 == 0:
        slow_log.append({"path": path, "n": n, "note": "x" * 200})
    return 200


def test_serve():
    assert serve("/index") == 200
