"""A child of a process with threads takes a lock that another thread may hold when it is forked; here it does not."""
import os
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"
BECAUSE = "what a child takes is seen in the child, and not told from there"

lock = threading.Lock()


def work(done):
    with lock:  # SITE
        done.append(1)


def test_child():
    done, end = [], threading.Event()
    thread = threading.Thread(target=lambda: (work(done), end.wait()))
    thread.start()
    while not done or lock.locked():
        pass
    pid = os.fork()
    if pid == 0:
        with lock:  # SITE
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    end.set()
    thread.join()
