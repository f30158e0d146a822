"""Sets of strings and tuples, whose order differs with the hash seed."""
import os


def test_sets():
    words = {os.urandom(4).hex() for _ in range(200)}
    pairs = {(w, w[::-1]) for w in words}
    assert len(pairs) == len(words)
    assert words - {w for w, _ in pairs} == set()
