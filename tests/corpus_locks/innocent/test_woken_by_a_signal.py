"""The main thread waits for an event that only a signal handler sets."""
import os
import signal
import threading


def test_signal():
    event = threading.Event()
    before = signal.signal(signal.SIGALRM, lambda number, frame: event.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 5.5)
        event.wait()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert event.is_set()
    assert os.getpid()
