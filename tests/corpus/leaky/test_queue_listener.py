"""logging's QueueListener started and never stopped."""
import logging
import logging.handlers
import queue

import pytest

LEAKS = "threads.leaked"


@pytest.fixture
def listener():
    q = queue.Queue()
    listener = logging.handlers.QueueListener(q, logging.NullHandler())
    listener.start()
    return listener


def test_listens(listener):
    assert listener._thread.is_alive()
