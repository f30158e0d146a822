"""Interned names out of two hundred possible ones."""
import random
import sys

_symbols = {}


def symbol(text):
    text = sys.intern(text)
    return _symbols.setdefault(text, len(_symbols))


def _name():
    return "column_%03d" % random.randrange(200)


def test_symbol():
    name = _name()
    assert symbol(name) == symbol(name)
