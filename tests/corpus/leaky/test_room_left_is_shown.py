"""A shelf that tells how much room is left, and goes on when there is none."""
import uuid

LEAKS = "memory.growth"


class Shelf:
    room = 900

    def __init__(self):
        self.items = {}

    def left(self):
        return self.room - len(self.items)

    def add(self, key):
        self.items[key] = len(key)
        return "full" if not self.left() else f"{self.left()} left"


shelf = Shelf()


def test_add():
    assert shelf.add(uuid.uuid4().hex)
