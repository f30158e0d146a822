"""Sixteen threads that take a lock for a moment, and otherwise wait for something else."""
import threading
import time


def test_sixteen():
    lock, count = threading.Lock(), [0]

    def work():
        for _ in range(20):
            time.sleep(0.005)
            with lock:
                count[0] += 1

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == [320]
