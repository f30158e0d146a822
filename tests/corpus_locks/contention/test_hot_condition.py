"""The work is done under the lock of the condition, so that the others cannot even look."""
import threading
import time

FINDS = "locks.contention"
COUNT = 1
NEEDS = "contention"

jobs_ready = threading.Condition()


def work(jobs, done):
    while True:
        with jobs_ready:  # SITE
            if not jobs:
                return
            done.append(jobs.pop())
            time.sleep(0.01)


def test_all_is_done():
    jobs, done = list(range(20)), []
    threads = [threading.Thread(target=work, args=(jobs, done)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 20
