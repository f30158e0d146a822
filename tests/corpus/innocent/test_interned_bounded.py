"""Interns names from a bounded set."""
import random
import sys

table = {}


def symbol(name):
    name = sys.intern(name)
    return table.setdefault(name, len(table))


def test_symbols():
    for i in random.sample(range(20), 10):
        assert symbol("name_%d" % i) >= 0
