"""A module-level mock that records every call for ever."""
from unittest import mock

LEAKS = "memory.growth"
notifier = mock.Mock(name="notifier")


def place_order(n):
    notifier.send("order", n, retry=False)
    return n


def test_order_notifies():
    place_order(5)
    notifier.send.assert_called_with("order", 5, retry=False)
