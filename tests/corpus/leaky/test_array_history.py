"""One number a run into an array that only grows (8 bytes a run), and a long tuple beside it."""
from array import array

LEAKS = "memory.growth"
latencies = array("d")
samples = []


def observe(seconds):
    latencies.append(seconds)
    samples.append(tuple(range(60)))
    return len(latencies)


def test_observe():
    assert observe(0.25) >= 1
