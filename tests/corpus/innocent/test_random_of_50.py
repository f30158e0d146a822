"""A cache of 50 possible keys, one at random a run: fills ever more slowly."""
import random

pages = {}


def page(n):
    if n not in pages:
        pages[n] = f"page {n} " * 100
    return pages[n]


def test_page():
    n = random.randrange(50)
    assert page(n).startswith("page %d " % n)
