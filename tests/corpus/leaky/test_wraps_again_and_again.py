"""Instruments the same function again with each set-up: wrappers nest."""
import functools

import pytest

LEAKS = "memory.growth"


class Service:
    def ping(self):
        return "pong"


def instrument(cls, name):
    inner = getattr(cls, name)

    @functools.wraps(inner)
    def timed(*args, **kwargs):
        return inner(*args, **kwargs)

    setattr(cls, name, timed)


@pytest.fixture(autouse=True)
def tracing():
    instrument(Service, "ping")


def test_is_instrumented():
    assert Service.ping.__wrapped__
