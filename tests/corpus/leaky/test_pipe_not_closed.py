"""os.pipe whose ends are never closed; plain numbers, no object to collect."""
import os

LEAKS = "descriptors.leaked"


def test_pipe():
    r, w = os.pipe()
    os.write(w, b"x")
    assert os.read(r, 1) == b"x"
