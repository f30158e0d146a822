"""Eight workers, all of whose work is done under one lock."""
import threading
import time
from concurrent.futures import ThreadPoolExecutor

FINDS = "locks.contention"
COUNT = 1
NEEDS = "contention"

client_lock = threading.Lock()


def fetch(number):
    with client_lock:  # SITE
        time.sleep(0.01)
        return number


def test_fetch():
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fetch, range(24))) == list(range(24))
