"""queue.join() without a lock, by a consumer that takes one for each item."""
import queue
import threading


def test_join():
    jobs, lock, done = queue.Queue(), threading.Lock(), []

    def consume():
        while (job := jobs.get()) is not None:
            with lock:
                done.append(job)
            jobs.task_done()
        jobs.task_done()

    consumers = [threading.Thread(target=consume) for _ in range(2)]
    for consumer in consumers:
        consumer.start()
    for job in range(20):
        jobs.put(job)
    jobs.join()
    with lock:
        assert sorted(done) == list(range(20))
    for _ in consumers:
        jobs.put(None)
    jobs.join()
    for consumer in consumers:
        consumer.join()
