"""All but one thread wait without a timeout, for longer than a deadlock would take to be called one."""
import threading
import time


def test_the_job_comes_late():
    jobs, log = threading.Condition(), []

    def work():
        with jobs:
            while not log:
                jobs.wait()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    time.sleep(6)
    with jobs:
        log.append("job")
        jobs.notify_all()
    for worker in workers:
        worker.join()
    assert log == ["job"]
