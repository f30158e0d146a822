"""Native callbacks made per call, kept because freeing them crashed once."""
import ctypes

LEAKS = "memory.growth"
CMP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
libc = ctypes.CDLL(None)
_callbacks = []


def native_sort(values):
    array = (ctypes.c_int * len(values))(*values)
    cb = CMP(lambda a, b: a[0] - b[0])
    _callbacks.append(cb)
    libc.qsort(array, len(values), ctypes.sizeof(ctypes.c_int), cb)
    return list(array)


def test_native_sort():
    assert native_sort([3, 1, 2]) == [1, 2, 3]
