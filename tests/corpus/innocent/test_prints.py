"""Prints a lot; nobody asked for it."""
import sys


def test_prints():
    for i in range(100):
        print("progress", i)
        print("warning", i, file=sys.stderr)
