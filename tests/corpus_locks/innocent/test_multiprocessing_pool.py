"""A pool of processes, with its three threads and two queues."""
import multiprocessing
import threading


def square(number):
    return number * number


def test_squares():
    lock = threading.Lock()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        with lock:
            assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
        pool.close()
        pool.join()
    assert not lock.locked()
