"""A wait lets the condition's lock go, but not the one taken inside, and then comes back for the outer one."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

jobs_ready, stats_lock = threading.Condition(), threading.Lock()


def take_job():
    with jobs_ready:  # SITE
        with stats_lock:  # SITE
            return jobs_ready.wait(0.01)  # SITE


def test_nothing_came():
    assert take_job() is False
