"""Watched locks with their methods in Python, or in C where they were built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import pytest

from coresys.threads.watching import speed

import_module("coresys.threads.watching.locks")  # which offers its classes to ``speed``
LANGUAGES = ("python", "c")


@contextmanager
def written_in(language: str) -> Iterator[None]:
    """Within the block watched locks have their methods in this language."""
    if language == "c" and not speed.built():
        pytest.skip("the methods in C were not built, or CORESYS_PURE_LOCKS is set")
    was = speed.in_use()
    (speed.use_c if language == "c" else speed.use_python)()
    try:
        assert speed.in_use() is (language == "c")
        yield
    finally:
        (speed.use_c if was else speed.use_python)()


__all__ = ["LANGUAGES", "written_in"]
