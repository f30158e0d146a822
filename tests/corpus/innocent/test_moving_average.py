"""A generator keeps the last thousand values it was sent, in a variable of its own."""
import random


def averager():
    window = []
    average = 0.0
    while True:
        value = yield average
        window.append(value)
        if len(window) > 1000:
            window.pop(0)
        average = sum(window) / len(window)


average = averager()
next(average)


def test_average():
    assert 0 <= average.send(random.random()) <= 1
