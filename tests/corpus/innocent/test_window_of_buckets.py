"""Counts by bucket of ten ticks; buckets older than an hour (of 36 buckets) are dropped."""
import itertools


class RateLimiter:
    clock = itertools.count()

    def __init__(self):
        self.buckets = {}

    def hit(self, client):
        now = next(self.clock)
        bucket = now // 10
        self.buckets.setdefault(bucket, {}).setdefault(client, []).append(now)
        for old in [b for b in self.buckets if b < bucket - 36]:
            del self.buckets[old]
        return sum(len(b.get(client, ())) for b in self.buckets.values())


limiter = RateLimiter()


def test_hit():
    assert limiter.hit("10.0.0.1") >= 1
