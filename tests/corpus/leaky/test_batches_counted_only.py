"""A closure that tells after each thousand rows, and keeps them; the batch of its neighbour is sent and cleared."""
import uuid

LEAKS = "memory.growth"


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


def collector(size, tell):
    batch, count = [], 0

    def add(row):
        nonlocal count
        batch.append(row)
        count += 1
        if count == size:
            tell(count)
            count = 0

    return add


send, collect = batches(1000, len), collector(1000, print)


def test_add():
    collect(uuid.uuid4().hex)
