"""A session's fixture returns a logger, which outlives it with every handler that tests add."""

LEAKS = "memory.growth"

import logging

import pytest


@pytest.fixture(scope="session")
def log():
    return logging.getLogger("orders")


def test_an_order_is_logged(log):
    log.addHandler(logging.NullHandler())
    log.info("ordered")
    assert log.handlers
