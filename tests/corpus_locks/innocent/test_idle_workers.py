"""Workers that wait for jobs for the whole test, most of them for none."""
import queue
import threading


class Pool:
    def __init__(self, size):
        self.jobs, self.lock, self.done = queue.Queue(), threading.Lock(), []
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(size)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while (job := self.jobs.get()) is not None:
            with self.lock:
                self.done.append(job)

    def close(self):
        for _ in self.threads:
            self.jobs.put(None)
        for thread in self.threads:
            thread.join()


def test_three_jobs_for_twenty():
    pool = Pool(20)
    for job in range(3):
        pool.jobs.put(job)
    threading.Event().wait(0.3)
    pool.close()
    assert sorted(pool.done) == [0, 1, 2]
