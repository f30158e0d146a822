"""Suite-wide: pytester, which pytest allows to be named only here, at the root, and what stands on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from innersuite import InnerSuite

pytest_plugins = ["pytester"]


# Loaded in the inner runs of a test, and in their workers.
_INNER_PLUGINS = "pytest_coresys.plugin,xdist.plugin,xdist.looponfail"


@pytest.hookimpl(tryfirst=True)  # before ``-m`` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those in tests/long.txt are long; who asks for pytester runs its suites in processes of their own, which are the
    same whatever is outside.
    """
    if config.rootpath != Path(__file__).parent:
        return  # the suites are run from elsewhere: this file stands above them, and has nothing to say there
    import longtests  # beside the tests

    long = longtests.read()
    for item in items:
        file, _, rest = item.nodeid.partition("::")
        name, _, case = rest.partition("[")
        if case.startswith(long.get((file, name), ())):
            item.add_marker(pytest.mark.long)
        if "pytester" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.inner)


@pytest.fixture(autouse=True)
def _only_our_plugins(request: pytest.FixtureRequest) -> None:
    """Suites that a test runs load no plugin but ours and xdist: all that are installed take a second each time.

    They are not told either that a worker runs the test, so that they are the same with and without xdist outside.
    """
    if "pytester" not in request.fixturenames:
        return
    import pytests  # beside the tests

    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    pytester: pytest.Pytester = request.getfixturevalue("pytester")
    monkeypatch.setattr(pytester, "run", pytests.Forking(pytester))
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    if request.node.get_closest_marker("other_plugins") is None:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setenv("PYTEST_PLUGINS", _INNER_PLUGINS)


@pytest.fixture
def inner(pytester: pytest.Pytester) -> InnerSuite:
    """A folder for a suite, to be run in processes of its own."""
    from innersuite import InnerSuite  # beside the tests that ask for it

    return InnerSuite(pytester)
