"""Five megabytes of temporaries."""


def test_big():
    data = bytearray(5 * 1024 * 1024)
    copy = bytes(memoryview(data)[: 1 << 20])
    assert len(copy) == 1 << 20
