"""An executor in a with statement."""
from concurrent.futures import ThreadPoolExecutor


def test_map():
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(abs, [-1, -2, 3])) == [1, 2, 3]
