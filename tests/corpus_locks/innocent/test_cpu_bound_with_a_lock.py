"""Threads that compute, and add up under a lock now and then: they wait for the interpreter, not for the lock."""
import threading


def test_sum():
    lock, totals = threading.Lock(), [0]

    def work():
        for _ in range(20):
            part = sum(number * number for number in range(8_000))
            with lock:
                totals[0] += part

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals[0] == 80 * sum(number * number for number in range(8_000))
