"""Cached functions that call one another both ways, from many threads."""
import functools
import threading

lock = threading.Lock()


@functools.lru_cache(maxsize=64)
def even(number):
    with lock:
        pass
    return True if number == 0 else odd(number - 1)


@functools.lru_cache(maxsize=64)
def odd(number):
    return False if number == 0 else even(number - 1)


def test_even():
    seen = []
    threads = [threading.Thread(target=lambda: seen.append((even(20), odd(21)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [(True, True)] * 4
