"""A new pattern a run: re's own cache is bounded (512 before it evicts)."""
import itertools
import re

n = itertools.count()


def test_pattern():
    k = next(n)
    assert re.match(r"item-%d(\d*)" % k, f"item-{k}99")
