"""A gate lock around both orders would do, were it held each time."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

gate, users_lock, groups_lock = threading.RLock(), threading.Lock(), threading.Lock()


def add(log):
    with gate, users_lock:
        with groups_lock:
            log.append("added")


def remove(log):
    with gate, groups_lock:  # SITE
        with users_lock:  # SITE
            log.append("removed")


def add_at_once(log):
    with users_lock:  # SITE
        with groups_lock:  # SITE
            log.append("added")


def test_all():
    log = []
    for work in (add, remove, add_at_once):
        work(log)
    assert log == ["added", "removed", "added"]
