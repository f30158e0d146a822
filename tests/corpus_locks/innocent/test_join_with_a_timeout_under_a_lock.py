"""A join under the lock that the thread wants, but with a timeout, after which the lock is let go."""
import threading


def test_stop():
    lock, log = threading.Lock(), []

    def work():
        with lock:
            log.append(1)

    worker = threading.Thread(target=work)
    with lock:
        worker.start()
        worker.join(timeout=0.005)
        assert worker.is_alive()
    worker.join()
    assert log == [1]
