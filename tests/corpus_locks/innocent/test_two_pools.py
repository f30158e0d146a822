"""Tasks of one pool wait for tasks of another, never of their own."""
from concurrent.futures import ThreadPoolExecutor


def test_nested():
    with ThreadPoolExecutor(2) as outer, ThreadPoolExecutor(2) as inner:

        def line(number):
            return sum(inner.map(lambda column: number * column, range(5)))

        assert list(outer.map(line, range(4))) == [0, 10, 20, 30]
