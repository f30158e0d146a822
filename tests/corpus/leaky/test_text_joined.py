"""One text that every request adds a line to."""

LEAKS = "memory.growth"
LOG = b""


def test_request():
    global LOG
    LOG = LOG + b"GET / 200 OK\r\n"
