"""A task of the only worker waits for a task that needs that worker."""
from concurrent.futures import ThreadPoolExecutor

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"

pool = ThreadPoolExecutor(1)


def parse(text):
    return [pool.submit(str.upper, word) for word in text.split()]


def shout(text):
    return " ".join(future.result() for future in parse(text))  # SITE


def test_shout():
    assert pool.submit(shout, "a b").result() == "A B"
