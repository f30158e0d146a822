"""The mutex of a queue, which whoever looks into it takes, against a lock held when something is put."""
import queue
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

inbox, counts_lock, counts = queue.Queue(), threading.Lock(), {"put": 0}


def put(item):
    with counts_lock:  # SITE
        inbox.put(item)  # SITE
        counts["put"] += 1


def look():
    with inbox.mutex:  # SITE
        with counts_lock:  # SITE
            return len(inbox.queue), counts["put"]


def test_look():
    put("a")
    assert look() == (1, 1)
