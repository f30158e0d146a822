"""malloc through ctypes, never freed; Python sees none of it."""
import ctypes

LEAKS = "memory.growth"

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def test_native_alloc():
    p = libc.malloc(192)
    assert p
    ctypes.memset(p, 0, 192)
