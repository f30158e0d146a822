"""A shelf that tells how much room is left, and is cleared when there is none."""
import uuid


class Shelf:
    room = 900

    def __init__(self):
        self.items = {}

    def left(self):
        return self.room - len(self.items)

    def add(self, key):
        if not self.left():
            self.items.clear()
        self.items[key] = len(key)


shelf = Shelf()


def test_add():
    shelf.add(uuid.uuid4().hex)
    assert shelf.left() < shelf.room
