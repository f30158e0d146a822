"""Log records go to a queue that a listener's thread empties; it is up for the session."""

import logging
import logging.handlers
import queue

import pytest

log = logging.getLogger("orders.audit")


@pytest.fixture(scope="session", autouse=True)
def listener():
    records = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(records)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    listener = logging.handlers.QueueListener(records, logging.NullHandler())
    listener.start()
    yield
    listener.stop()
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def test_an_order_is_audited():
    log.info("order %s paid", 4711)
