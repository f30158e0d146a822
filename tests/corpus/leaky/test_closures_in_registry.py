"""Closures kept in a registry of handlers."""
import pytest

LEAKS = "memory.growth"

registry = {"click": []}


def make_handler(name):
    payload = [name] * 20

    def handler(event):
        return payload[0] + event

    return handler


@pytest.fixture
def handler():
    fn = make_handler("h-")
    registry["click"].append(fn)
    return fn


def test_handler(handler):
    assert handler("e") == "h-e"
