"""shutdown(wait=False): the threads end a moment after the test."""
import time
from concurrent.futures import ThreadPoolExecutor


def test_fire_and_forget():
    pool = ThreadPoolExecutor(2)
    future = pool.submit(time.sleep, 0.01)
    pool.shutdown(wait=False)
    assert not future.cancelled()
