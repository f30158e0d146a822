"""Locks that are let go in another order than they were taken, and taken again in the first one."""
import threading


def test_overlap():
    a, b, c = threading.Lock(), threading.Lock(), threading.Lock()
    for _ in range(3):
        a.acquire()
        b.acquire()
        a.release()
        c.acquire()
        b.release()
        c.release()
    with a, c:
        assert not b.locked()
