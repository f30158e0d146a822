"""lru_cache(maxsize=None) on a method: keyed by self, keeps every instance."""
from functools import lru_cache

LEAKS = "memory.growth"


class Report:
    def __init__(self, rows):
        self.rows = rows

    @lru_cache(maxsize=None)
    def total(self):
        return sum(self.rows)


def test_total():
    assert Report([1, 2, 3]).total() == 6
