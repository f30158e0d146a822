"""Locks of classes, one for all instances."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Cache:
    lock = threading.Lock()
    entries = {}

    @classmethod
    def put(cls, key):
        with cls.lock:  # SITE
            cls.entries[key] = Metrics.count("put")


class Metrics:
    lock = threading.Lock()
    counts = {}

    @classmethod
    def count(cls, name):
        with cls.lock:  # SITE
            cls.counts[name] = cls.counts.get(name, 0) + 1
            return cls.counts[name]

    @classmethod
    def snapshot(cls):
        with cls.lock:  # SITE
            with Cache.lock:  # SITE
                return dict(cls.counts), dict(Cache.entries)


def test_snapshot():
    Cache.put("a")
    assert Metrics.snapshot() == ({"put": 1}, {"a": 1})
