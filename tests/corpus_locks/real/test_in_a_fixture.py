"""A fixture's setup deadlocks."""
import threading

import pytest

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"

lock = threading.Lock()


def connect():
    with lock:  # SITE
        return "connected"


@pytest.fixture
def connection():
    with lock:  # SITE
        return connect()


def test_connection(connection):
    assert connection == "connected"


def test_what_comes_after_runs():
    assert not lock.locked()
