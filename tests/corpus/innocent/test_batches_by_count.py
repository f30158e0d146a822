"""A closure that sends what it was given in batches of a thousand, and counts in a variable."""
import uuid


def batches(size, send):
    batch, count = [], 0

    def add(row):
        nonlocal count
        batch.append(row)
        count += 1
        if count == size:
            send(list(batch))
            batch.clear()
            count = 0

    return add


add = batches(1000, len)


def test_add():
    add(uuid.uuid4().hex)
