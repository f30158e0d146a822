"""Fixtures of the suites: the subject of each role, and how much effort the run is to spend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_coresys.subjects import check_subjects, close, make, parse_subjects, takes
from validation_suites import ours
from validation_suites.keeping import Kept, state_of
from validation_suites.soak.growth import LOADS, Window

_OF_GROWTH = "test_growth.py"
_KEPT = pytest.StashKey[Kept]()


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a storm is, and how many processes are killed. ``soak``: by ``--coresys-profile soak``.

    What is long is measured, and kept, in pieces of ``kills_each`` and ``storm_each``.
    """

    soak: bool
    kills: int
    storm_seconds: float
    growth_seconds: float
    kills_each: int = 40
    storm_each: float = 30.0


_DEFAULT = Effort(soak=False, kills=50, storm_seconds=2.0, growth_seconds=60.0)
_SOAK = Effort(soak=True, kills=1000, storm_seconds=600.0, growth_seconds=3600.0)


@pytest.fixture(scope="session")
def effort(request: pytest.FixtureRequest) -> Effort:
    """What this run may take."""
    return _SOAK if request.config.getoption("coresys_profile") == "soak" else _DEFAULT


class Subject:
    """Makes managers of the run's subjects, by role; those that have an end are ended after the test."""

    def __init__(self, factories: dict[str, Callable[..., Any]]) -> None:
        self._chosen = factories
        self._made: list[Any] = []

    def __call__(self, role: str, **offered: Any) -> Any:
        """A new manager. It is given what its factory takes of what is offered."""
        made = make(self.factory(role), offered)
        self._made.append(made)
        return made

    def factory(self, role: str) -> Callable[..., Any]:
        """What makes it."""
        return self._chosen.get(role) or ours.FACTORIES[role]

    def takes(self, role: str, keyword: str) -> bool:
        """Whether its factory can be given this."""
        return takes(self.factory(role), keyword)

    def is_ours(self, role: str) -> bool:
        """Whether the run tests our own."""
        return role not in self._chosen

    def end(self) -> None:
        """Close what was made."""
        while self._made:
            close(self._made.pop())


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """``subject("state")`` is a new manager of the run's subject for that role."""
    made = Subject(check_subjects(request.config.getoption("coresys_subject")))
    yield made
    made.end()


# -- what is long ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def state_of_run(request: pytest.FixtureRequest) -> str:
    """What a soak that was stopped may go on with: the same code and subjects."""
    return state_of(parse_subjects(request.config.getoption("coresys_subject")))


@pytest.fixture
def kept(request: pytest.FixtureRequest, effort: Effort) -> Kept:
    """What a long test has come to so far, in a soak."""
    if not effort.soak:
        return Kept(None, "", "", ())
    tests = [item.nodeid for item in request.session.items if "kept" in getattr(item, "fixturenames", ())]
    made = Kept(request.config.rootpath, request.getfixturevalue("state_of_run"), request.node.nodeid, tests)
    request.node.stash[_KEPT] = made
    return made


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """A long test has come to its end, whatever that is; one that was interrupted gets no report."""
    if call.when == "call" and _KEPT in item.stash:
        item.stash[_KEPT].over()


# -- the window of growth ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def growth_window(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, effort: Effort
) -> Window | None:
    """The window of this run, in which loads are watched; begun before its first test, if one asks for it."""
    if not any(_asks_for_growth(item) for item in request.session.items):
        return None
    config = request.config
    folder, watched = tmp_path_factory.getbasetemp(), os.getpid()
    if hasattr(config, "workerinput"):  # of xdist: what its workers share is above, and the run is the process above
        folder, watched = folder.parent, os.getppid()
    root, state = (config.rootpath, request.getfixturevalue("state_of_run")) if effort.soak else (None, "")
    window = Window(folder / "coresys-growth", effort.growth_seconds, root=root, state=state)
    window.start(LOADS, parse_subjects(config.getoption("coresys_subject")), watched)
    return window


def _asks_for_growth(item: pytest.Item) -> bool:
    return item.path.name == _OF_GROWTH


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What only waits for the end of the window comes last, also where others shuffle tests."""
    items.sort(key=_asks_for_growth)
