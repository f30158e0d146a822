"""What is asked under the lock is asked only of futures that say they are done, as a loop of events does."""
import threading
from concurrent.futures import ThreadPoolExecutor, wait

lock, results = threading.Lock(), []


def work(number):
    with lock:
        results.append(number)
    return number


def test_done():
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(work, number) for number in range(4)]
        done, _ = wait(futures)
        with lock:
            assert sorted(future.result(timeout=0) for future in done if future.done()) == [0, 1, 2, 3]
    assert sorted(results) == [0, 1, 2, 3]
