"""Waits with timeouts that pass: for a lock, an event, a condition, a queue, a thread."""
import queue
import threading

import pytest


def test_timeouts():
    lock, event, condition, inbox = threading.Lock(), threading.Event(), threading.Condition(), queue.Queue()
    other = threading.Thread(target=event.wait)
    other.start()
    with lock:
        assert not lock.acquire(timeout=0.05)
        assert not event.wait(0.05)
        other.join(0.05)
        with pytest.raises(queue.Empty):
            inbox.get(timeout=0.05)
        with condition:
            assert not condition.wait(0.05)
    event.set()
    other.join()
    assert not other.is_alive()
