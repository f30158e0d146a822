"""Fixtures of the suites: the subject of each role, and how much effort the run is to spend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_coresys.subjects import check_subjects, make, parse_subjects, takes
from validation_suites import ours
from validation_suites.soak.growth import LOADS, Window

_OF_GROWTH = "test_growth.py"


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a storm is, and how many processes are killed. ``soak``: by ``--coresys-profile soak``."""

    soak: bool
    kills: int
    storm_seconds: float
    growth_seconds: float


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


def close(manager: Any) -> None:
    """End a manager that has an end."""
    end = getattr(manager, "close", None) or getattr(manager, "shutdown", None)
    if end is not None:
        end()


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """``subject("state")`` is a new manager of the run's subject for that role."""
    made = Subject(check_subjects(request.config.getoption("coresys_subject")))
    yield made
    made.end()


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
    window = Window(folder / "coresys-growth", effort.growth_seconds)
    window.start(LOADS, parse_subjects(config.getoption("coresys_subject")), watched)
    return window


def _asks_for_growth(item: pytest.Item) -> bool:
    return item.path.name == _OF_GROWTH


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What only waits for the end of the window comes last, also where others shuffle tests."""
    items.sort(key=_asks_for_growth)
