"""A timer's thread takes the locks the other way round, long after."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

lease_lock, clock_lock = threading.Lock(), threading.Lock()
leases = set()


def expire():
    with clock_lock:  # SITE
        with lease_lock:  # SITE
            leases.clear()


def lease(name):
    with lease_lock:  # SITE
        with clock_lock:  # SITE
            leases.add(name)
    timer = threading.Timer(0.01, expire)
    timer.start()
    return timer


def test_a_lease_expires():
    lease("a").join()
    assert leases == set()
