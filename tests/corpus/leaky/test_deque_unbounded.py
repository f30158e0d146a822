"""An event history that was meant to be bounded (maxlen forgotten)."""
from collections import deque
from types import SimpleNamespace

LEAKS = "memory.growth"
history = deque()


def record(kind, **fields):
    event = SimpleNamespace(kind=kind, **fields)
    history.append(event)
    return event


def test_record():
    assert record("login", user="ann").user == "ann"
