"""Something is taken from a queue that nobody is left to fill."""
import queue
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


def produce(items, target):
    for item in items:
        if item is not None:  # the mark of the end never gets there
            target.put(item)


def test_all_is_consumed():
    inbox, seen = queue.Queue(), []
    producer = threading.Thread(target=produce, args=([1, 2, None], inbox))
    producer.start()
    producer.join()
    while (item := inbox.get()) is not None:  # SITE
        seen.append(item)
