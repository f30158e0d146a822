"""A cache: from the whole to the entry when it fills, from the entry to the whole when it drops."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Entry:
    def __init__(self, value):
        self.lock, self.value = threading.Lock(), value


class Cache:
    def __init__(self):
        self.lock, self.entries = threading.RLock(), {}

    def update(self, key, value):
        with self.lock:  # SITE
            entry = self.entries.setdefault(key, Entry(None))
            with entry.lock:  # SITE
                entry.value = value

    def drop_if(self, key, value):
        entry = self.entries[key]
        with entry.lock:  # SITE
            if entry.value == value:
                with self.lock:  # SITE
                    del self.entries[key]


def test_drop():
    cache = Cache()
    cache.update("a", 1)
    cache.drop_if("a", 1)
    assert cache.entries == {}
