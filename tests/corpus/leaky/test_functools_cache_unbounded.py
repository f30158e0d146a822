"""functools.cache over ever new arguments."""
import functools
import itertools

LEAKS = "memory.growth"
customers = itertools.count(1000)


@functools.cache
def normalise(name: str) -> str:
    return " ".join(part.capitalize() for part in name.split())


def test_normalise():
    name = f"mary {next(customers)}"
    assert normalise(name).startswith("Mary ")
