"""ctypes buffers handed to a library that 'may still need them'."""
import ctypes

LEAKS = "memory.growth"
_keep_alive = []


def to_native(text):
    buf = ctypes.create_string_buffer(text.encode(), 2048)
    _keep_alive.append(buf)
    return ctypes.addressof(buf)


def test_to_native():
    assert ctypes.string_at(to_native("abc")) == b"abc"
