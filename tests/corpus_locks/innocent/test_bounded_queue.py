"""Producers and consumers with a bounded queue, which is full or empty most of the time."""
import queue
import threading


def test_all_get_there():
    jobs, seen, lock = queue.Queue(maxsize=2), [], threading.Lock()

    def produce(start):
        for number in range(start, start + 50):
            jobs.put(number)

    def consume():
        while (number := jobs.get()) is not None:
            with lock:
                seen.append(number)

    producers = [threading.Thread(target=produce, args=(start,)) for start in (0, 50)]
    consumers = [threading.Thread(target=consume) for _ in range(3)]
    for thread in producers + consumers:
        thread.start()
    for thread in producers:
        thread.join()
    for _ in consumers:
        jobs.put(None)
    for thread in consumers:
        thread.join()
    assert sorted(seen) == list(range(100))
