"""Steps are counted by the list they are kept in, which is emptied at 900."""
import uuid

steps = []


def step(what):
    count = len(steps)
    if count == 900:
        steps.clear()
    steps.append(what)
    return count


def test_step():
    assert step(uuid.uuid4().hex) <= 900
