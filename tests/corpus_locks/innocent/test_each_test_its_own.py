"""Two tests with locks from one fixture, in both orders: each has a pair of its own."""
import threading

import pytest


@pytest.fixture
def pair():
    return threading.Lock(), threading.Lock()


def test_forwards(pair):
    one, other = pair
    with one, other:
        assert one.locked()


def test_backwards(pair):
    one, other = pair
    with other, one:
        assert one.locked()
