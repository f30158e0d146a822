"""Steps that can be undone, each linked to the one before; what is forgotten after 800 is what could be redone."""
import uuid

LEAKS = "memory.growth"


class Undo:
    def __init__(self, depth):
        self.depth, self.top, self.steps, self.undone = depth, None, 0, None

    def push(self, step):
        self.top = (self.top, step)
        self.steps += 1
        if self.steps > self.depth:
            self.undone, self.steps = None, 0


undo = Undo(800)


def test_push():
    undo.push(uuid.uuid4().hex)
    assert undo.top
