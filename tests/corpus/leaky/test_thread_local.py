"""Thread-local scratch space of a thread that lives for ever (the main one)."""
import threading

LEAKS = "memory.growth"
_tls = threading.local()


def scratch():
    if not hasattr(_tls, "stack"):
        _tls.stack = []
    _tls.stack.append(dict(a=1, b=2))
    return _tls.stack[-1]


def test_scratch():
    assert scratch() == {"a": 1, "b": 2}
