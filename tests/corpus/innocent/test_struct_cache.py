"""A new struct format each run: the module forgets all of its formats at the hundredth."""
import itertools
import struct

lengths = itertools.count(1)


def frame(payload):
    return struct.pack(f"!I{len(payload)}s", len(payload), payload)


def test_frame():
    payload = b"x" * (next(lengths) % 4096)
    assert frame(payload)[4:] == payload
