"""A semaphore of one is a lock by another name."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "tokens"

printer = threading.Semaphore(1)
paper_lock = threading.Lock()
printed = []


def print_page(text):
    with printer:  # SITE
        with paper_lock:  # SITE
            printed.append(text)


def refill():
    with paper_lock:  # SITE
        with printer:  # SITE
            return len(printed)


def test_print_and_refill():
    print_page("one")
    assert refill() == 1
