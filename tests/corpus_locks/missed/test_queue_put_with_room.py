"""A bounded queue is filled under the lock that its consumer takes for each item."""
import queue
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"
BECAUSE = "room is waited for only in a queue that was full: how many items there may be is for the program to know"

lock = threading.Lock()
jobs = queue.Queue(maxsize=2)
done = []


def consume():
    while True:
        job = jobs.get()
        if job is None:
            return
        with lock:  # SITE
            done.append(job)


def test_all_jobs_are_done():
    consumer = threading.Thread(target=consume)
    consumer.start()
    with lock:  # SITE
        jobs.put(1)  # SITE
    jobs.put(None)
    consumer.join()
    assert done == [1]
