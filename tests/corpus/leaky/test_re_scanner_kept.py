"""Compiled scanners, objects of a C extension, kept."""
import re

LEAKS = "memory.growth"
WORD = re.compile(r"\w+")
scanners = []


def tokens(text):
    s = WORD.scanner(text)
    scanners.append(s)
    return iter(s.match, None)


def test_tokens():
    assert next(tokens("hello world")).group() == "hello"
