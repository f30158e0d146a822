"""A generator keeps every value it was sent; the window of another one, which is short, has the same name."""
import random

LEAKS = "memory.growth"


def averager():
    window = []
    average = 0.0
    while True:
        value = yield average
        window.append(value)
        average = sum(window) / len(window)


def smoother():
    window = []
    value = yield
    while True:
        window.append(value)
        if len(window) > 1000:
            window.pop(0)
        value = yield max(window)


average, smooth = averager(), smoother()
next(average), next(smooth)


def test_average():
    value = random.random()
    assert 0 <= average.send(value) <= 1
    assert smooth.send(0.0) == 0.0 or value
