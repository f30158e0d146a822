"""A lock for each key, made under the lock of the table, and taken outside of it."""
import threading


class Loader:
    def __init__(self):
        self.lock, self.locks, self.values, self.loads = threading.Lock(), {}, {}, 0

    def get(self, key):
        with self.lock:
            lock = self.locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self.values:
                value = key * 2
                with self.lock:
                    self.loads += 1
                    self.values[key] = value
            return self.values[key]


def test_once():
    loader, seen = Loader(), []
    threads = [threading.Thread(target=lambda key=key: seen.append(loader.get(key))) for key in (1, 2) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [2] * 4 + [4] * 4
    assert loader.loads == 2
