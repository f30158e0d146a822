"""An inversion that is seen once, after a hundred thousand orderly acquisitions."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


def test_once():
    a, b, total = threading.Lock(), threading.Lock(), 0
    for _ in range(100_000):
        with a:  # SITE
            with b:  # SITE
                total += 1
    with b:  # SITE
        with a:  # SITE
            total += 1
    assert total == 100_001
