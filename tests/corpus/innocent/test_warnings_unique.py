"""Warns with a new text each run; the registry is emptied with the filters."""
import itertools
import warnings

n = itertools.count()


def old_api():
    warnings.warn(f"old_api is going away ({next(n)})", DeprecationWarning, stacklevel=2)


def test_warns():
    old_api()
