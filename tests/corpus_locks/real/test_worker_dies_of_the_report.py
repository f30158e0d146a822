"""The worker that is in the deadlock would have set what the main thread waits for."""
import threading

FINDS = "locks.deadlocks"
NEEDS = "live"

lock, done = threading.Lock(), threading.Event()


def work():
    with lock:  # SITE
        with lock:  # SITE
            pass
    done.set()


def test_work_is_done():
    threading.Thread(target=work, daemon=True).start()
    done.wait()


def test_what_comes_after_runs():
    assert not done.is_set()
