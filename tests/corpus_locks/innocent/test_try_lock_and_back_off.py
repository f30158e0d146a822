"""Either order, but the second one is only tried, and all is let go where it is not free."""
import threading


def with_both(first, second, work):
    while True:
        with first:
            if second.acquire(blocking=False):
                try:
                    return work()
                finally:
                    second.release()
        first, second = second, first
        threading.Event().wait(0.001)


def test_both_ways():
    one, other, count = threading.Lock(), threading.Lock(), []
    threads = [
        threading.Thread(target=lambda pair=pair: [with_both(*pair, lambda: count.append(1)) for _ in range(20)])
        for pair in ((one, other), (other, one))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(count) == 40
