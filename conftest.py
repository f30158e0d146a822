"""Suite-wide: pytester, which pytest allows to be named only here, at the root, and what stands on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from innersuite import InnerSuite

pytest_plugins = ["pytester"]


# Loaded in the inner runs of a test, and in their workers.
_INNER_PLUGINS = "pytest_coresys.plugin,xdist.plugin,xdist.looponfail"


@pytest.fixture(autouse=True)
def _only_our_plugins(request: pytest.FixtureRequest) -> None:
    """Suites that a test runs load no plugin but ours and xdist: all that are installed take a second each time."""
    if "pytester" in request.fixturenames and request.node.get_closest_marker("other_plugins") is None:
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)  # inner runs are no steps of a job of ours
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setenv("PYTEST_PLUGINS", _INNER_PLUGINS)


@pytest.fixture
def inner(pytester: pytest.Pytester) -> InnerSuite:
    """A folder for a suite, to be run in processes of its own."""
    from innersuite import InnerSuite  # beside the tests that ask for it

    return InnerSuite(pytester)
