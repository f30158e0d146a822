"""The two orders before and after a fork: the parent goes on as it was."""
import os
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

jobs_lock = threading.Lock()
pids_lock = threading.Lock()


def start(pids):
    with jobs_lock:  # SITE
        with pids_lock:  # SITE
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            pids.append(pid)


def reap(pids):
    with pids_lock:  # SITE
        with jobs_lock:  # SITE
            return os.waitpid(pids.pop(), 0)[1]


def test_start_and_reap():
    pids = []
    start(pids)
    assert reap(pids) == 0
