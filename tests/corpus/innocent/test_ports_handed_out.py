"""A thousand ports are handed out, each once; when none is left, all are free again."""
import uuid


class Ports:
    def __init__(self):
        self.free, self.used = set(range(1000)), {}

    def take(self, who):
        try:
            port = self.free.pop()
        except KeyError:
            self.free, self.used = set(range(1000)), {}
            port = self.free.pop()
        self.used[port] = who
        return port


ports = Ports()


def test_take():
    assert ports.take(uuid.uuid4().hex) < 1000
