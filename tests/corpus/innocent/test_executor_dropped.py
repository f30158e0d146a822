"""An executor that is dropped: its workers end when it is collected."""
from concurrent.futures import ThreadPoolExecutor


def test_dropped():
    assert ThreadPoolExecutor(2).submit(len, "abc").result() == 3
