"""The ten best offers are shown, and all are kept: sorted, and as they came."""
import heapq
import itertools
import random
import uuid

LEAKS = "memory.growth"

offers = []


def offer(price, who):
    global offers
    offers = sorted(offers + [(price, who)], reverse=True)
    shown = heapq.nlargest(1000, offers)[:10]
    return list(itertools.islice(shown, 3))


def test_offer():
    assert offer(random.random(), uuid.uuid4().hex)
