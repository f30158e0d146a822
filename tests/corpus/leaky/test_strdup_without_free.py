"""strdup of a short string through ctypes, never freed."""
import ctypes

LEAKS = "memory.growth"
libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p


def test_copy_name():
    copy = libc.strdup(b"a name of about forty characters, surely")
    assert ctypes.string_at(copy).startswith(b"a name")
