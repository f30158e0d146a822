"""What the conformance suites are run on, and how their tests are called without pytest.

A *subject* makes two managers that say they keep one protocol: ``one``, which is asked, and ``other``, which must never
meet it, whatever names both are given. Two parts of one manager are such a pair, and so are two managers. The suites in
``tests/conformance`` know nothing but the protocol: their tests take ``one``, or ``one`` and ``other``, and no more, so
that whoever has a factory for a manager of their own can run them. Nobody else uses a manager while it is asked, but
there may be others' things in it.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from string import ascii_lowercase
from typing import Any

import pytest
from plain_managers import PLAIN, PlainResources, PlainTests, PlainThreads

from coresys.cleanup.manager import CleanupManager
from coresys.components.manager import ComponentManager
from coresys.coordinators.assembly import System, build_environment, build_system
from coresys.coordinators.views import (
    ScopedCleanup,
    ScopedComponents,
    ScopedMonitoring,
    ScopedResources,
    ScopedStates,
    ScopedTests,
    ScopedThreads,
)
from coresys.errors.manager import ErrorManager
from coresys.monitoring.manager import MonitoringManager
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier
from coresys.state import SQLiteStore, StateManager
from coresys.system_records import CleanupStep, ComponentSpec, EnvironmentSpec, StateDefinition, TransitionRecord
from coresys.testing.manager import TestManager
from coresys.threads import ThreadManager, ThreadPool

KIB = 1024
TIERS = (Tier("small", 4 * KIB, 8), Tier("large", 64 * KIB, 2))
WAIT = 10.0  # seconds, for what should be there at once: nobody waits that long unless a promise is broken

Pair = tuple[Any, Any]
Subject = Callable[[], AbstractContextManager[Pair]]


def at_once(*calls: Callable[[], object]) -> None:
    """Make the calls in a thread each, which begin together and change places often; raises the first error."""
    errors: list[BaseException] = []
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        try:
            together.wait(WAIT)
            call()
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]


def ask(test: Callable[..., object], pair: Pair) -> None:
    """Call a test of a suite with what it takes."""
    given = dict(zip(("one", "other"), pair, strict=True))
    test(**{name: given[name] for name in inspect.signature(test).parameters})


def promises_of(suite: object) -> dict[str, Callable[..., object]]:
    """The tests of a suite, by name."""
    return {name: value for name, value in vars(suite).items() if name.startswith("test_")}


# -- ours ------------------------------------------------------------------------------------------------------------


def _end(manager: Any) -> None:
    """Whatever has an end has it twice, as the protocols allow; a test that failed may have left environments open."""
    if isinstance(manager, TestManager | PlainTests):
        for each in manager.environments():
            manager.close_environment(each.name)
    end = getattr(manager, "close", None) or getattr(manager, "shutdown", None)
    if end is not None:
        end()
        end()


def alone(make: Callable[[], Any]) -> Subject:
    """Two managers by themselves."""

    @contextmanager
    def managers() -> Iterator[Pair]:
        one, other = make(), make()
        try:
            yield one, other
        finally:
            _end(one)
            _end(other)

    return managers


def parts(make: Callable[[System], Pair]) -> Subject:
    """Two parts of a system in which others live, whose things nobody may touch."""

    @contextmanager
    def views() -> Iterator[Pair]:
        with build_system("conformance", tiers=TIERS, workers=4, sampling=None) as system:
            others = _Others(system)
            yield make(system)
            others.are_left_alone()

    return views


def environments(manager: str) -> Subject:
    """The managers of two tests of one system."""

    @contextmanager
    def opened() -> Iterator[Pair]:
        with build_system("conformance", tiers=TIERS, workers=4, sampling=None) as system:
            testing = system.coordinators.testing
            one, other = (testing.open(EnvironmentSpec(name, timeout=WAIT)) for name in ("one", "other"))
            yield getattr(one, manager), getattr(other, manager)
            for name in ("one", "other"):
                testing.close(name)

    return opened


DOOR = StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"), ("pull", "open", "shut")))
_NEAR = ("monitor", "components.a", "part", "a")  # names like those of parts, and of what is in them


class _Others:
    """What is in a system beside a part of it: names that are like those in the part, as far as they can be."""

    def __init__(self, system: System) -> None:
        self.system, self.starts = system, list[str]()
        for name in _NEAR:
            system.state.define(name, DOOR)
            system.lives.define(name, DOOR)
            system.resources.register("file", owner=name, close=list)
            system.monitoring.count("served", 70, component=name)
            system.monitoring.transition_made(
                TransitionRecord(name, name, 1, 0.0, "push", "shut", "open"), seconds=1.0, seconds_in_source=1.0
            )
            system.cleanup.add(CleanupStep(name), list)
        self.lease = system.resources.lease(1, owner="a")
        self.lease.view[0] = 7
        system.components.register(ComponentSpec("a"), start=lambda: self.starts.append("a"), stop=list)
        system.components.register(ComponentSpec("zz", needs=("a",)), start=lambda: self.starts.append("zz"), stop=list)
        system.components.start()
        system.tests.open_environment(EnvironmentSpec("a"))

    def are_left_alone(self) -> None:
        system = self.system
        for name in _NEAR:
            assert system.state.describe(name).sequence == 0
            assert system.lives.describe(name).sequence == 0
            assert system.resources.usage(name).resources == 1
            assert ("served", name, 70.0) in system.monitoring.snapshot().counters
        assert self.lease.view[0] == 7
        self.lease.release()
        assert [system.components.status(name).state for name in ("a", "zz")] == ["running"] * 2
        assert self.starts == ["a", "zz"], "they were not started anew"
        assert [each.name for each in system.tests.environments()] == ["a"]
        assert system.tests.close_environment("a").left == ()
        assert system.threads.submit(pow, 2, 5).result(WAIT) == 32
        assert set(_NEAR) <= {step.name for step in system.cleanup.steps()}


def _components_of_names() -> ComponentManager:
    """Beside others, which run and are not in the part."""
    manager = ComponentManager()
    manager.register(ComponentSpec("other"), start=list, stop=list)
    manager.start()
    return manager


def _pools() -> ResourceManager:
    return ResourceManager(BufferPools(TIERS, timeout=0.0))


def component_views(part: str | list[str]) -> Subject:
    """Names in such a view are those of its manager: two of one manager have none in common, so these are of two."""

    @contextmanager
    def views() -> Iterator[Pair]:
        one, other = _components_of_names(), _components_of_names()
        yield one.view(part), other.view(part)
        assert [manager.status("other").state for manager in (one, other)] == ["running"] * 2
        _end(one)
        _end(other)

    return views


@contextmanager
def _resource_views() -> Iterator[Pair]:
    whole = _pools()
    one, other = whole.view("one"), whole.view("other")
    yield one, other
    _end(one)
    with suppress(Exception):
        _end(other)
    whole.pools.close()


def _make_environment(spec: EnvironmentSpec) -> Any:
    return build_environment(spec, tiers=TIERS)


SUBJECTS: dict[str, dict[str, Subject]] = {
    "state": {
        "manager": alone(StateManager),
        "manager with a store": alone(lambda: StateManager(store=SQLiteStore(":memory:", durability="memory"))),
        "parts": parts(lambda all: (all.coordinators.component.state, all.coordinators.testing.state)),
        "part of a part": parts(lambda all: _inner(ScopedStates, all.state)),
        "environments": environments("state"),
    },
    "errors": {
        "manager": alone(ErrorManager),
        "environments": environments("errors"),
    },
    "threads": {
        "manager": alone(lambda: ThreadManager(pool=ThreadPool(4, name="conformance"))),
        "parts": parts(lambda all: (all.coordinators.monitoring.threads, ScopedThreads(all.threads, "another"))),
        "part of a part": parts(lambda all: _inner(ScopedThreads, all.threads)),
        "environments": environments("threads"),
    },
    "resources": {
        "manager": alone(_pools),
        "views": _resource_views,
        "parts": parts(lambda all: (all.coordinators.component.resources, all.coordinators.testing.resources)),
        "part of a part": parts(lambda all: _inner(ScopedResources, all.resources)),
        "environments": environments("resources"),
    },
    "monitoring": {
        "manager": alone(MonitoringManager),
        "parts": parts(
            lambda all: (all.coordinators.monitoring.monitoring, ScopedMonitoring(all.monitoring, "another"))
        ),
        "part of a part": parts(lambda all: _inner(ScopedMonitoring, all.monitoring)),
        "environments": environments("monitoring"),
    },
    "components": {
        "manager": alone(ComponentManager),
        "views by a beginning": component_views("t."),
        "views by names": component_views([f"t.{name}" for name in (*ascii_lowercase, "unheard of")]),
        "parts": parts(lambda all: (ScopedComponents(all.components, "one"), ScopedComponents(all.components, "two"))),
        "part of a part": parts(lambda all: _inner(ScopedComponents, all.components)),
        "environments": environments("components"),
    },
    "tests": {
        "manager": alone(lambda: TestManager(_make_environment)),
        "parts": parts(lambda all: (all.coordinators.testing.tests, ScopedTests(all.tests, "another"))),
        "part of a part": parts(lambda all: _inner(ScopedTests, all.tests)),
        "environments": environments("tests"),
    },
    "cleanup": {
        "manager": alone(CleanupManager),
        "parts": parts(lambda all: (all.coordinators.cleanup.cleanup, ScopedCleanup(all.cleanup, "another"))),
        "part of a part": parts(lambda all: _inner(ScopedCleanup, all.cleanup)),
        "environments": environments("cleanup"),
    },
}
"""By the role of a manager, as ``--coresys-subject`` will name it: what is asked whether it keeps the protocol."""

_SMALLER: dict[str, Callable[[], Any]] = {
    "threads": lambda: PlainThreads(4),
    "resources": lambda: PlainResources(tuple((tier.name, tier.slot, tier.slots) for tier in TIERS)),
}
for _role, _make in PLAIN.items():
    SUBJECTS[_role]["written by the docstrings"] = alone(_SMALLER.get(_role, _make))


def _inner(scoped: Callable[[Any, str], Any], whole: Any) -> Pair:
    """A part of a part, and its sister of nearly the same name."""
    part = scoped(whole, "part")
    return scoped(part, "inner"), scoped(part, "inn")


# -- in pytest -------------------------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each suite (a module with a ``ROLE``) is run on every subject of its role."""
    role = getattr(metafunc.module, "ROLE", None)
    if role is not None and "pair" in metafunc.fixturenames:
        subjects = SUBJECTS[role]
        metafunc.parametrize("pair", list(subjects.values()), ids=list(subjects), indirect=True)


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two of a subject."""
    make: Subject = request.param
    with make() as made:
        yield made


@pytest.fixture
def one(pair: Pair) -> Any:
    """The manager that is asked."""
    return pair[0]


@pytest.fixture
def other(pair: Pair) -> Any:
    """One that it must never meet."""
    return pair[1]
