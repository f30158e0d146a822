"""An event whose setter has gone without setting it."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


def test_started():
    started, failed = threading.Event(), []

    def start():
        try:
            raise OSError("no such device")
        except OSError as error:
            failed.append(error)
            return
        started.set()

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    started.wait()  # SITE
