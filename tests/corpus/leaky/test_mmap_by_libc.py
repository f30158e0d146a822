"""Maps anonymous memory with libc's mmap and never unmaps it."""
import ctypes
import mmap

LEAKS = "memory.growth"
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]

SIZE = 64 * 1024


def arena():
    return libc.mmap(
        None, SIZE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0
    )


def test_arena_is_zeroed():
    base = arena()
    assert base not in (None, ctypes.c_void_p(-1).value)
    assert ctypes.string_at(base, 16) == bytes(16)
