"""A write buffer that is flushed at every 25th record."""

buffer = []
written = 0


def write(record):
    global written
    buffer.append(record)
    if len(buffer) >= 25:
        written += len(buffer)
        buffer.clear()


def test_write():
    write("x" * 3000 + str(written))
    assert len(buffer) < 25
