"""Either order, with a timeout on the second lock and a retry."""
import threading


def swap(first, second, done):
    for _ in range(50):
        with first:
            if second.acquire(timeout=0.02):
                done.append(1)
                second.release()
                return
        threading.Event().wait(0.003 * len(done) + 0.001)


def test_both_ways():
    a, b, done = threading.Lock(), threading.Lock(), []
    swap(a, b, done)
    swap(b, a, done)
    assert done == [1, 1]
