"""A consumer thread blocked in Queue.get, without a sentinel to end it."""
import queue
import threading

LEAKS = "threads.leaked"


def start_worker(results):
    q = queue.Queue()

    def work():
        while True:
            item = q.get()
            results.append(item * 2)
            q.task_done()

    threading.Thread(target=work, daemon=True).start()
    return q


def test_doubles():
    results = []
    q = start_worker(results)
    q.put(21)
    q.join()
    assert results == [42]
