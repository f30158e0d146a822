"""The thousand best offers, kept by heapq."""
import heapq
import random
import uuid

best = []


def offer(price, who):
    best[:] = heapq.nlargest(1000, best + [(price, who)])


def test_offer():
    offer(random.random(), uuid.uuid4().hex)
    assert best
