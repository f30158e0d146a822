"""A condition within an outer lock, which is let go before anybody waits."""
import threading


def test_jobs():
    outer, ready, jobs, done = threading.Lock(), threading.Condition(), [], []

    def work():
        with ready:
            while not jobs:
                ready.wait()
            job = jobs.pop()
        with outer:
            done.append(job)

    worker = threading.Thread(target=work)
    worker.start()
    with outer:
        with ready:
            jobs.append(1)
            ready.notify()
    worker.join()
    assert done == [1]
