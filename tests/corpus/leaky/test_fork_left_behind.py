"""os.fork whose child sleeps on; nobody waits for it."""
import os
import time

LEAKS = "processes.leaked"


def in_background(fn):
    pid = os.fork()
    if pid == 0:
        try:
            fn()
        finally:
            os._exit(0)
    return pid


def test_in_background():
    assert in_background(lambda: time.sleep(60)) > 0
