"""A consumer that never says task_done()."""
import queue
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


def test_all_is_done():
    jobs, done = queue.Queue(), []
    jobs.put(1)
    consumer = threading.Thread(target=lambda: done.append(jobs.get()))
    consumer.start()
    consumer.join()
    jobs.join()  # SITE
