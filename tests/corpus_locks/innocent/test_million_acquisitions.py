"""A million acquisitions that nobody else asks for."""
import threading


def test_count():
    lock, count = threading.Lock(), 0
    for _ in range(1_000_000):
        with lock:
            count += 1
    assert count == 1_000_000
