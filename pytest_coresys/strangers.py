"""Calling what other plugins and conftests gave us: however it fails, the run of the tests goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


class StrangerError(Exception):
    """Code of a stranger failed; the text says how."""


def ask(function: Callable[..., T], **given: object) -> T:
    """Call the function. Raises StrangerError for whatever it raises, except what is meant to end the run.

    ``pytest.fail()``, ``pytest.skip()`` and ``sys.exit()`` raise what is no ``Exception``: outside of a test's
    phases pytest takes them for an error of its own, and the results of all tests are lost.
    """
    try:
        return function(**given)
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except BaseException as error:
        raise StrangerError(f"{type(error).__name__}: {error}") from error
