"""Locks that live one after the other, as often as not at the same address, in both orders."""
import threading


def test_generations():
    fixed, count = threading.Lock(), 0
    for turn in range(200):
        fresh = threading.Lock()
        first, second = (fixed, fresh) if turn % 2 else (fresh, fixed)
        with first, second:
            count += 1
        del fresh, first, second
    assert count == 200
