"""Generators started, suspended and kept."""
LEAKS = "memory.growth"

_open_cursors = []


def rows(n):
    buffer = list(range(n))
    for r in buffer:
        yield r


def first_row():
    cursor = rows(50)
    _open_cursors.append(cursor)
    return next(cursor)


def test_first_row():
    assert first_row() == 0
