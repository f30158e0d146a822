"""A fixture's teardown joins a thread that waits for what the teardown holds."""
import threading

import pytest

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


class Server:
    def __init__(self):
        self.lock, self.wake = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        self.wake.wait()
        with self.lock:  # SITE
            return "ended"

    def close(self):
        with self.lock:
            self.wake.set()
            self.thread.join()  # SITE


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def test_server(server):
    assert server.thread.is_alive()
