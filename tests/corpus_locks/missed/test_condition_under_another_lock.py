"""A Condition is waited for under a lock that whoever notifies takes first; here it is notified in time."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"
BECAUSE = "a wait for a Condition or an Event that ended shows that somebody did not need the lock"

lock, ready = threading.Lock(), threading.Condition()
past, waits = threading.Event(), threading.Event()


def notify():
    with lock:  # SITE
        past.set()
    assert waits.wait(10)
    with ready:
        ready.notify()


def test_wait():
    thread = threading.Thread(target=notify)
    thread.start()
    assert past.wait(10)
    with lock:  # SITE
        with ready:
            waits.set()
            ready.wait()  # SITE
    thread.join()
