"""A bounded queue, which was full before, is filled under the lock that its consumer takes for each item."""
import queue
import threading

import pytest

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"

lock = threading.Lock()
jobs = queue.Queue(maxsize=1)
done, first = [], threading.Event()


def consume():
    while True:
        job = jobs.get()
        if job is None:
            return
        with lock:  # SITE
            done.append(job)
        first.set()


def test_all_jobs_are_done():
    consumer = threading.Thread(target=consume)
    jobs.put(1)
    with pytest.raises(queue.Full):
        jobs.put_nowait(2)
    consumer.start()
    assert first.wait(10)
    with lock:  # SITE
        jobs.put(2)  # SITE
    jobs.put(None)
    consumer.join()
    assert done == [1, 2]
