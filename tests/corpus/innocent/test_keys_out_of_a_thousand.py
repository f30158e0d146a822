"""Keys that come at random, out of a thousand: each run adds less."""

import random

endings = {}


def ending(number):
    text = f"{number:06}"
    return endings.setdefault(text[-3:], text[-3:])


def test_an_ending():
    assert len(ending(random.randrange(10**6))) == 3
