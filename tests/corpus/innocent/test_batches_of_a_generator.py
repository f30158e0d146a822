"""A generator that is sent rows, and writes them in batches of 900."""
import uuid

written = 0


def writer(size):
    global written
    while True:
        batch = []
        for _ in range(size):
            batch.append((yield))
        written += len(batch)


out = writer(900)
next(out)


def test_write():
    out.send(uuid.uuid4().hex)
    assert written % 900 == 0
