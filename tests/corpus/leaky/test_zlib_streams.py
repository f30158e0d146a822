"""Compressors that are flushed but kept: their windows are malloc'ed by zlib."""
import zlib

LEAKS = "memory.growth"
streams = []


def compress(data):
    c = zlib.compressobj(1, zlib.DEFLATED, 9, 1)
    out = c.compress(data) + c.flush()
    streams.append(c)
    return out


def test_round_trip():
    assert zlib.decompress(compress(b"abc" * 50), 15) == b"abc" * 50
