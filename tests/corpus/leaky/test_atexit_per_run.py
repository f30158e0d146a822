"""An exit handler registered at each start."""
import atexit

LEAKS = "memory.growth"


class Client:
    def __init__(self):
        self.buffer = [0] * 32
        atexit.register(self.flush)

    def flush(self):
        self.buffer.clear()


def test_client():
    assert len(Client().buffer) == 32
