"""A board of the thousand highest scores, sorted anew with each."""
import random
import uuid


class Board:
    def __init__(self):
        self.scores = []

    def add(self, score, who):
        self.scores = sorted(self.scores + [(score, who)], reverse=True)[:1000]


board = Board()


def test_add():
    board.add(random.random(), uuid.uuid4().hex)
    assert board.scores
