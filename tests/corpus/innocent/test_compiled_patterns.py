"""Compiled patterns memoised by hand, a hundred at most; the one used longest ago goes."""
import itertools
import re

_compiled = {}
_words = itertools.count()


def pattern(word):
    found = _compiled.pop(word, None)
    if found is None:
        found = re.compile(rf"\b{re.escape(word)}s?\b", re.IGNORECASE)
        if len(_compiled) >= 100:
            del _compiled[next(iter(_compiled))]
    _compiled[word] = found
    return found


def test_plural():
    word = f"word{next(_words)}"
    assert pattern(word).search(f"some {word}s")
