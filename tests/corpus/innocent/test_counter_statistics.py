"""Counters with a fixed set of keys, and a histogram with fixed bounds."""
from collections import Counter, defaultdict

hits = Counter()
latency = defaultdict(lambda: [0] * 16)


def observe(route, ms):
    hits[route] += 1
    latency[route][min(15, ms.bit_length())] += 1


def test_observe():
    for i, route in enumerate(["/", "/a", "/b"]):
        observe(route, 3 ** i)
    assert hits["/"] >= 1
