"""put() under the lock of the consumer: an unbounded queue never makes anybody wait."""
import queue
import threading


def test_put():
    lock, jobs, seen = threading.Lock(), queue.Queue(), []

    def consume():
        while (job := jobs.get()) is not None:
            with lock:
                seen.append(job)

    consumer = threading.Thread(target=consume)
    consumer.start()
    for job in range(20):
        with lock:
            jobs.put(job)
    jobs.put(None)
    consumer.join()
    assert seen == list(range(20))
