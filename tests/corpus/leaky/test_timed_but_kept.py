"""How long it takes is measured, and asserted. What it makes is kept all the same."""

LEAKS = "memory.growth"

import time

results = {}


def check(found):
    return len(found) > 0


def handle(number):
    began = time.monotonic()
    results[object()] = bytearray(2000 + number % 3)
    assert check(results)
    took = time.monotonic() - began
    assert took < 5
    return took


def test_it_is_quick():
    assert handle(7) >= 0
