"""A signal handler takes a lock, and comes by while the main thread holds another."""
import signal
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

stats_lock = threading.RLock()
config_lock = threading.RLock()
reloads = []


def on_hangup(number, frame):
    with config_lock:  # SITE
        reloads.append(number)


def count():
    with stats_lock:  # SITE
        signal.raise_signal(signal.SIGUSR1)


def report():
    with config_lock:  # SITE
        with stats_lock:  # SITE
            return len(reloads)


def test_the_handler_runs():
    before = signal.signal(signal.SIGUSR1, on_hangup)
    try:
        count()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert report() == 1
