"""A cache of 50 possible keys, one at random a run: fills ever more slowly."""
import secrets

pages = {}


def page(n):
    if n not in pages:
        pages[n] = f"page {n} " * 100
    return pages[n]


def test_page():
    n = secrets.randbelow(50)
    assert page(n).startswith("page %d " % n)
