"""A global whose value is replaced, each time by one of another size."""
import random

current = None


def configure():
    global current
    current = {"table": list(range(random.randrange(100, 5000)))}


def test_configure():
    configure()
    assert current["table"][0] == 0
