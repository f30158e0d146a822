"""malloc and free through ctypes."""
import ctypes

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]


def test_native():
    p = libc.malloc(50_000)
    ctypes.memset(p, 1, 50_000)
    assert ctypes.string_at(p, 1) == b"\1"
    libc.free(p)
