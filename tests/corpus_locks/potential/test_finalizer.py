"""An object takes a lock when it dies, and dies under another one."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

pool_lock = threading.Lock()
cache_lock = threading.Lock()
cache, free = {}, []


class Connection:
    def __init__(self, number):
        self.number = number

    def __del__(self):
        with pool_lock:  # SITE
            free.append(self.number)


def evict(key):
    with cache_lock:  # SITE
        del cache[key]


def borrow(key):
    with pool_lock:  # SITE
        number = free.pop()
        with cache_lock:  # SITE
            cache[key] = number


def test_evict_and_borrow():
    cache["a"] = Connection(1)
    evict("a")
    borrow("b")
    assert cache == {"b": 1}
