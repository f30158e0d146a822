"""A module fixture that holds memory and a thread until its teardown."""
import threading

import pytest


@pytest.fixture(scope="module")
def engine():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    yield {"data": bytearray(2_000_000), "thread": thread}
    stop.set()
    thread.join()


def test_engine(engine):
    assert len(engine["data"]) == 2_000_000
