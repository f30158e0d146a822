"""Two threads that meet at a barrier, each with the other's lock wanted next."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"

orders_lock, stock_lock = threading.Lock(), threading.Lock()
both = threading.Barrier(2)


def order():
    with orders_lock:
        both.wait(10)
        with stock_lock:  # SITE
            return "ordered"


def deliver():
    with stock_lock:
        both.wait(10)
        with orders_lock:  # SITE
            return "delivered"


def test_order_and_deliver():
    threads = [threading.Thread(target=work, daemon=True) for work in (order, deliver)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_comes_after_runs():
    assert not both.broken
