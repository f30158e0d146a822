"""A thread waits for a lock that it took itself, until a timer lets it go."""
import threading


def test_wake_up():
    bell = threading.Lock()
    bell.acquire()
    timer = threading.Timer(0.2, bell.release)
    timer.start()
    bell.acquire()
    bell.release()
    timer.join()
    assert not bell.locked()
