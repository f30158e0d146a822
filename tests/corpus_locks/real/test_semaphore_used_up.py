"""A permit is not given back on the way of an error, so that the third call waits for ever."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"

permits = threading.Semaphore(2)


def fetch(number):
    permits.acquire()  # SITE
    if number:
        return  # the permit goes with it
    permits.release()


def test_fetch():
    for number in (1, 2, 3):
        fetch(number)
