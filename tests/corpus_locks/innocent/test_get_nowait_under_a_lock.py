"""get_nowait() under the lock of the producer: it never waits."""
import queue
import threading

lock, jobs = threading.Lock(), queue.Queue()


def produce():
    with lock:
        jobs.put(1)


def test_poll():
    thread = threading.Thread(target=produce)
    thread.start()
    thread.join()
    with lock:
        assert jobs.get_nowait() == 1
        try:
            jobs.get_nowait()
        except queue.Empty:
            return
    raise AssertionError("there was nothing left")
