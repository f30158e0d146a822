"""A fixture takes them the one way, the test the other."""
import threading

import pytest

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

env_lock, db_lock = threading.Lock(), threading.Lock()


@pytest.fixture
def database():
    with env_lock:  # SITE
        with db_lock:  # SITE
            return {"url": "memory"}


def test_database(database):
    with db_lock:  # SITE
        with env_lock:  # SITE
            assert database["url"] == "memory"
