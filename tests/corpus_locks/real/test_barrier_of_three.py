"""A barrier for three at which two arrive."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


def test_two_arrive():
    barrier = threading.Barrier(3)
    other = threading.Thread(target=barrier.wait, daemon=True)
    other.start()
    barrier.wait()  # SITE
