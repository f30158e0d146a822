"""Exceptions raised, chained and caught."""
import pytest


def deep(n):
    if n == 0:
        raise KeyError("bottom")
    return deep(n - 1)


def test_raises():
    with pytest.raises(RuntimeError, match="failed") as info:
        try:
            deep(30)
        except KeyError as e:
            raise RuntimeError("failed") from e
    assert isinstance(info.value.__cause__, KeyError)
