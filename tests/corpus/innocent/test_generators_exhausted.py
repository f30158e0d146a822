"""Generators, exhausted or closed."""


def numbers(n):
    try:
        yield from range(n)
    finally:
        pass


def test_numbers():
    assert sum(numbers(100)) == 4950
    g = numbers(10)
    next(g)
    g.close()
    h = numbers(5)
    assert next(h) == 0  # left suspended: freed with the frame
