"""Suite-wide: pytester, which pytest allows to be named only here, at the root, and what stands on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from innersuite import InnerSuite

pytest_plugins = ["pytester"]


@pytest.fixture
def inner(pytester: pytest.Pytester) -> InnerSuite:
    """A folder for a suite, to be run in processes of its own."""
    from innersuite import InnerSuite  # beside the tests that ask for it

    return InnerSuite(pytester)
