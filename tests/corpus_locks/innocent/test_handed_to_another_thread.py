"""A lock is taken by the dispatcher and let go by the worker that got the job."""
import queue
import threading


class Printer:
    def __init__(self):
        self.busy, self.jobs, self.pages = threading.Lock(), queue.Queue(), []

    def submit(self, page):
        self.busy.acquire()
        self.jobs.put(page)

    def work(self):
        while (page := self.jobs.get()) is not None:
            self.pages.append(page)
            self.busy.release()


def test_pages():
    printer, notes = Printer(), threading.Lock()
    worker = threading.Thread(target=printer.work)
    worker.start()
    for page in range(10):
        printer.submit(page)
        with notes:
            pass
    with notes:
        printer.submit(10)
    printer.jobs.put(None)
    worker.join()
    assert printer.pages == list(range(11))
