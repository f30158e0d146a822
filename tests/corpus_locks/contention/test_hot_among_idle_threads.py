"""Two threads stand in each other's way, among thirty that have nothing to do."""
import queue
import threading
import time

FINDS = "locks.contention"
COUNT = 1
NEEDS = "contention"

disk_lock = threading.Lock()


def write():
    for _ in range(10):
        with disk_lock:  # SITE
            time.sleep(0.01)


def test_two_write():
    inbox = queue.Queue()
    idle = [threading.Thread(target=inbox.get) for _ in range(30)]
    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in idle + writers:
        thread.start()
    for writer in writers:
        writer.join()
    for _ in idle:
        inbox.put(None)
    for thread in idle:
        thread.join()
    assert inbox.empty()
