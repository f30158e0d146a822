"""Two inversions that have nothing to do with each other are two findings."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 2
NEEDS = "order"

a, b, c, d = (threading.Lock() for _ in range(4))


def one():
    with a, b:  # SITE
        pass
    with c, d:  # SITE
        pass


def other():
    with b, a:  # SITE
        pass
    with d, c:  # SITE
        return True


def test_both():
    one()
    assert other()
