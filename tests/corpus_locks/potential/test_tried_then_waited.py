"""What was got by trying is held all the same while the next one is waited for."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

leader_lock, log_lock = threading.Lock(), threading.Lock()


def lead(log):
    if leader_lock.acquire(blocking=False):  # SITE
        try:
            with log_lock:  # SITE
                log.append("leads")
        finally:
            leader_lock.release()


def follow(log):
    with log_lock:  # SITE
        with leader_lock:  # SITE
            log.append("follows")


def test_lead_and_follow():
    log = []
    lead(log)
    follow(log)
    assert log == ["leads", "follows"]
