"""The flag is set before the wait, and the notification was for nobody."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"

ready, flag = threading.Condition(), []


def set_flag():
    with ready:
        flag.append(1)
        ready.notify_all()


def test_wait_for_the_flag():
    thread = threading.Thread(target=set_flag)
    thread.start()
    thread.join()
    with ready:
        ready.wait()  # SITE
    assert flag
