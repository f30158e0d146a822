"""Interned unique names kept as keys of a dictionary."""
import itertools
import sys

LEAKS = "memory.growth"

symbols = {}
fresh = itertools.count()


def symbol(text):
    text = sys.intern(text)
    return symbols.setdefault(text, len(symbols))


def test_symbol():
    name = "label_%08d" % next(fresh)
    assert symbol(name) == symbol(name)
