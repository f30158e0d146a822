"""The hundred slowest requests on a heap."""
import heapq
import random

slowest = []


def observe(seconds, path):
    entry = (seconds, path, random.random())
    if len(slowest) < 100:
        heapq.heappush(slowest, entry)
    else:
        heapq.heappushpop(slowest, entry)


def test_observe():
    observe(random.expovariate(10), "/p/%d" % random.randrange(10**6))
    assert len(slowest) <= 100
