"""A lock for each key, made when it is first asked for."""
import threading
from collections import defaultdict

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

locks = defaultdict(threading.Lock)
owners = {"a": 1, "b": 2}


def swap(one, other):
    with locks[one]:  # SITE
        with locks[other]:  # SITE
            owners[one], owners[other] = owners[other], owners[one]


def test_swap():
    swap("a", "b")
    swap("b", "a")
    assert owners == {"a": 1, "b": 2}
