"""functools.cache over ever new arguments."""
import functools
import random

LEAKS = "memory.growth"


@functools.cache
def normalise(name: str) -> str:
    return " ".join(part.capitalize() for part in name.split())


def test_normalise():
    name = f"mary {random.getrandbits(64):x}"
    assert normalise(name).startswith("Mary ")
