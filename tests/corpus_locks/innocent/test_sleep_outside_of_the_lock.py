"""The slow part is done without the lock, which guards the result alone."""
import threading
import time
from concurrent.futures import ThreadPoolExecutor


def test_fetch():
    lock, cache = threading.Lock(), {}

    def fetch(key):
        time.sleep(0.02)
        with lock:
            cache[key] = key

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fetch, range(16)))
    assert len(cache) == 16
