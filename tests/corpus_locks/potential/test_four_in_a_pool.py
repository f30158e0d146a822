"""Four locks in a ring, by tasks of one worker: nothing can meet here."""
import threading
from concurrent.futures import ThreadPoolExecutor

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

FORKS = [threading.Lock() for _ in range(4)]


def dine(seat):
    with FORKS[seat]:  # SITE
        with FORKS[(seat + 1) % 4]:  # SITE
            return seat


def test_all_dine():
    with ThreadPoolExecutor(1) as pool:
        assert list(pool.map(dine, range(4))) == [0, 1, 2, 3]
