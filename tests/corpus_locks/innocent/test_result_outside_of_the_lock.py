"""The lock is taken to submit and to keep, not to wait."""
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

lock, cache = threading.Lock(), {}


def load(key):
    with lock:
        cache[key] = len(key)
    return key


def test_load():
    with ThreadPoolExecutor(3) as pool:
        with lock:
            futures = [pool.submit(load, key) for key in ("a", "bb", "ccc")]
        assert sorted(future.result() for future in as_completed(futures)) == ["a", "bb", "ccc"]
    assert cache == {"a": 1, "bb": 2, "ccc": 3}
