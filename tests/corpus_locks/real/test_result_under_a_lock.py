"""A result is awaited under the lock that the task wants."""
import threading
from concurrent.futures import ThreadPoolExecutor

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"

lock, pool = threading.Lock(), ThreadPoolExecutor(1)


def load():
    with lock:  # SITE
        return 1


def test_load():
    with lock:
        assert pool.submit(load).result() == 1  # SITE
