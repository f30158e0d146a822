"""A bounded queue that is filled by the only thread that would empty it."""
import queue

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


def test_three_into_two():
    jobs = queue.Queue(maxsize=2)
    for job in range(3):
        jobs.put(job)  # SITE
    assert [jobs.get() for _ in range(3)] == [0, 1, 2]
