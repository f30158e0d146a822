"""A worker pool that starts one thread a job until it has sixteen."""
import queue
import threading


class Workers:
    def __init__(self, most):
        self.most = most
        self.jobs = queue.SimpleQueue()
        self.threads = []

    def submit(self, fn, *args):
        done = queue.SimpleQueue()
        self.jobs.put((fn, args, done))
        if len(self.threads) < self.most:
            thread = threading.Thread(target=self._work, daemon=True)
            self.threads.append(thread)
            thread.start()
        return done

    def _work(self):
        while True:
            fn, args, done = self.jobs.get()
            done.put(fn(*args))


workers = Workers(16)


def test_submit():
    assert workers.submit(pow, 2, 5).get(timeout=5) == 32
