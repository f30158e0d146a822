"""A timer that is cancelled and not joined."""
import threading


def test_timer():
    t = threading.Timer(60, print)
    t.start()
    t.cancel()
    assert t.finished.is_set()
