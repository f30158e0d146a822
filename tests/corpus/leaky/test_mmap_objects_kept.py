"""Anonymous mmap objects kept in a list."""
import mmap

LEAKS = "memory.growth"
pages = []


def test_shared_page():
    page = mmap.mmap(-1, 4 * mmap.PAGESIZE)
    page[:5] = b"hello"
    pages.append(page)
    assert page.read(5) == b"hello"
