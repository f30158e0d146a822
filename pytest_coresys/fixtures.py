"""The fixtures over the TestingCoordinator. Loaded in every run of every project: the library is imported when used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from coresys.cleanup.manager import CleanupManager
    from coresys.components.manager import ComponentManager
    from coresys.coordinators.environment import SystemEnvironment
    from coresys.coordinators.testing import TestingCoordinator
    from coresys.errors.manager import ErrorManager
    from coresys.monitoring.manager import MonitoringManager
    from coresys.resources.pools import BufferPools
    from coresys.resources.view import ResourceView
    from coresys.state.manager import StateManager
    from coresys.threads.manager import ThreadManager
    from pytest_coresys.criteria.model import CriteriaFile
    from pytest_coresys.criteria.recorder import Collector, CriteriaRecorder
    from pytest_coresys.probes.environments import Environments

# Where a measuring session keeps what is told of the environments of tests.
ENVIRONMENTS: pytest.StashKey[Environments] = pytest.StashKey()
# Where what tests record for criteria goes.
COLLECTOR: pytest.StashKey[Collector] = pytest.StashKey()
F = TypeVar("F", bound=Callable[..., Any])


IS_ENVIRONMENT = "coresys_environment"
"""What functions of fixtures have that are environments."""


def _environment_fixture(function: F) -> F:
    setattr(function, IS_ENVIRONMENT, True)
    return function


def warm() -> None:
    """Import what the fixtures need, and open an environment: so that what is made once is nobody's doing."""
    from coresys.coordinators.assembly import build_environment, build_system
    from coresys.resources.tiers import Tier

    least = [Tier("small", 4096, 1)]
    with (
        build_system("tests", sampling=None, tiers=least, environments=build_environment) as system,
        system.coordinators.testing.environment("none") as environment,
    ):
        environment.threads.submit(str).result()


@pytest.fixture(scope="session")
def testing_coordinator() -> Iterator[TestingCoordinator]:
    """Opens isolated environments for tests: ``with testing_coordinator.environment("name") as own``."""
    from coresys.coordinators.assembly import build_environment, build_system
    from coresys.resources.tiers import Tier

    least = [Tier("small", 4096, 1)]  # for nobody: each environment has buffers of its own
    with build_system("tests", sampling=None, tiers=least, environments=build_environment) as system:
        yield system.coordinators.testing


@pytest.fixture
@_environment_fixture
def coresys(request: pytest.FixtureRequest, testing_coordinator: TestingCoordinator) -> Iterator[SystemEnvironment]:
    """The isolated environment of this test: its own managers, channel, limits, lock ranks and clock.

    ``state``, ``resources``, ``errors``, ``threads``, ``monitoring``, ``components``, ``cleanup``; gone, and verified
    gone, at the end of the test. What the test left in it is a finding; without a measuring run, an error.
    """
    yield from _environment(request, testing_coordinator, request.node.nodeid, None)


def coresys_environment(
    scope: str = "module",
    *,
    lease: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    ranks: Iterable[str] | None = None,
) -> Any:
    """Make a fixture of a wider scope that is an environment as ``coresys`` is, for all tests of that scope.

    ``lease`` bounds the bytes of buffers that are held in it at once, ``threads`` its workers, ``timeout`` the seconds
    that its end may take, ``ranks`` the order of its locks, outermost first::

        # conftest.py
        from pytest_coresys.fixtures import coresys_environment

        shop = coresys_environment(scope="module", lease=1024 * 1024)
    """
    caller = sys._getframe(1)
    site = (caller.f_code.co_filename, caller.f_lineno)
    ordered = None if ranks is None else tuple(ranks)
    limits = {"lease": lease, "threads": threads, "timeout": timeout, "ranks": ordered}

    def environment(
        request: pytest.FixtureRequest, testing_coordinator: TestingCoordinator
    ) -> Iterator[SystemEnvironment]:
        name = f"{request.node.nodeid or 'session'} ({request.fixturename})"
        owner = None if scope == "function" else site
        yield from _environment(request, testing_coordinator, name, owner, **limits)

    _environment_fixture(environment)
    environment.coresys_site = site  # type: ignore[attr-defined]  # where findings say that it was made
    environment.__doc__ = f"An isolated environment of coresys, for the {scope}."
    return pytest.fixture(scope=scope)(environment)  # type: ignore[call-overload]  # pytest looks at the scope


def _environment(
    request: pytest.FixtureRequest,
    coordinator: TestingCoordinator,
    name: str,
    site: tuple[str, int] | None,
    **limits: Any,
) -> Iterator[SystemEnvironment]:
    from coresys.coordinators.environment import SystemEnvironment
    from coresys.errors.hierarchy import LeftBehindError
    from coresys.system_records import EnvironmentSpec

    environments = request.config.stash.get(ENVIRONMENTS, None)
    first = "" if environments is None else environments.test
    name = _free(name, coordinator)
    environment = coordinator.open(EnvironmentSpec(name, **limits))
    assert isinstance(environment, SystemEnvironment)
    try:
        yield environment
    finally:
        record = coordinator.close(name)
    told = environments is not None and _tell(environments, request, environment, record.left, site, first)
    if record.left and not told:
        pytest.fail(str(LeftBehindError(environment=name, left=record.left)), pytrace=False)


def _free(name: str, coordinator: TestingCoordinator) -> str:
    """The name, with a number where one of that name is open: a fixture of a session may be there twice."""
    taken, number, free = {each.name for each in coordinator.tests.environments()}, 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free


def _tell(
    environments: Environments,
    request: pytest.FixtureRequest,
    environment: SystemEnvironment,
    left: tuple[str, ...],
    site: tuple[str, int] | None,
    first: str,
) -> bool:
    """Tell a measuring session; whether what was left is its to tell. ``first``: the test that it was opened for."""
    from dataclasses import replace

    from pytest_coresys.probes.environments import Closed

    root = f"{request.config.rootpath}/"  # places are told as everywhere: relative to it
    lines = tuple(line.replace(root, "") for line in left)
    places = tuple(replace(place, path=place.path.removeprefix(root)) for place in environment.places)
    closed = Closed(environment.name, lines, places, environment.external, environment.most_held)
    if site is None:
        return environments.told(closed)
    path, number = site
    return environments.told_of_wider(
        str(request.fixturename),
        (path.removeprefix(root), number),
        first,
        closed,
        within=request.node.nodeid.split("::", 1)[0],
        marks=tuple(request.node.iter_markers()),
    )


@pytest.fixture
def coresys_criteria(request: pytest.FixtureRequest) -> CriteriaRecorder:
    """Records samples and checks for success criteria: ``.record(id, value)``, ``with .time(id):``, ``.check(id, ok)``.

    Outside a measuring run it takes any id, and what is recorded is dropped.
    """
    from pytest_coresys.criteria.recorder import CriteriaRecorder, UnheardRecorder

    config = request.config
    collector = config.stash.get(COLLECTOR, None)
    if collector is not None:
        return CriteriaRecorder(collector)

    def file() -> CriteriaFile:
        from pytest_coresys.config.sources import named_criteria
        from pytest_coresys.given import criteria_of
        from pytest_coresys.measures import MEASURES

        return criteria_of(config, named_criteria(config.rootpath), MEASURES)

    return UnheardRecorder(file)


@pytest.fixture
def state_manager(coresys: SystemEnvironment) -> StateManager:
    """The state manager of this test's isolated environment."""
    return coresys.state


@pytest.fixture
def resource_manager(coresys: SystemEnvironment) -> ResourceView:
    """The resource manager of this test's isolated environment."""
    return coresys.resources


@pytest.fixture
def error_manager(coresys: SystemEnvironment) -> ErrorManager:
    """The error manager of this test's isolated environment."""
    return coresys.errors


@pytest.fixture
def thread_manager(coresys: SystemEnvironment) -> ThreadManager:
    """The thread manager of this test's isolated environment."""
    return coresys.threads


@pytest.fixture
def monitoring_manager(coresys: SystemEnvironment) -> MonitoringManager:
    """The monitoring manager of this test's isolated environment."""
    return coresys.monitoring


@pytest.fixture
def component_manager(coresys: SystemEnvironment) -> ComponentManager:
    """The component manager of this test's isolated environment."""
    return coresys.components


@pytest.fixture
def cleanup_manager(coresys: SystemEnvironment) -> CleanupManager:
    """The cleanup manager of this test's isolated environment: its steps run when the test is over."""
    return coresys.cleanup


@pytest.fixture
def buffer_pool(coresys: SystemEnvironment) -> BufferPools:
    """The tiers of buffers that only this test's isolated environment has."""
    return coresys.pools
