"""Weak keys and finalizers that do fire."""
import weakref

meta = weakref.WeakKeyDictionary()
closed = 0


def on_close():
    global closed
    closed += 1


class Doc:
    pass


def test_finalizer():
    before = closed
    d = Doc()
    meta[d] = "x" * 500
    weakref.finalize(d, on_close)
    del d
    assert closed == before + 1
