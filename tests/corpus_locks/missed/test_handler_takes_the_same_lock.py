"""A handler of a signal takes a lock that the main thread takes too; here it comes in between."""
import signal
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"
BECAUSE = "when a signal comes is not known: only what its handler takes while something else is held is an order"

lock, counts = threading.Lock(), []


def on_signal(number, frame):
    with lock:  # SITE
        counts.append(number)


def test_counts():
    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        with lock:  # SITE
            counts.append(0)
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert counts == [0, signal.SIGUSR1]
