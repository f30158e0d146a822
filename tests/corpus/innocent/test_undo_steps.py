"""Steps that can be undone, each linked to the one before; after 800 of them it begins anew."""
import uuid


class Undo:
    def __init__(self, depth):
        self.depth, self.top, self.steps = depth, None, 0

    def push(self, step):
        self.top = (self.top, step)
        self.steps += 1
        if self.steps > self.depth:
            self.top, self.steps = None, 0


undo = Undo(800)


def test_push():
    undo.push(uuid.uuid4().hex)
    assert undo.steps <= undo.depth
