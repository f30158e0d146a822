"""Brings tests, resources and states together: environments that tests have for themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from coresys.coordinators.views import ScopedResources, ScopedStates, ScopedTests
from coresys.errors.hierarchy import CoreSysError, LeftBehindError, StateError, UnknownEnvironmentError
from coresys.system_records import EnvironmentRecord, EnvironmentSpec, StateDefinition

if TYPE_CHECKING:
    from coresys.interfaces import Environment, IResourceManager, IStateManager, ITestManager

LIFE = StateDefinition(
    name="environment",
    states=("new", "open", "closing", "clean", "left behind"),
    initial="new",
    transitions=(
        ("open", "new", "open"),
        ("close", "open", "closing"),
        ("clean", "closing", "clean"),
        ("leave", "closing", "left behind"),
    ),
    final=("clean", "left behind"),
)
"""The states of an environment, while there is one."""


class TestingCoordinator:
    """Opens an environment for a test, verifies and closes it, and says what was left behind.

    >>> from coresys.coordinators.assembly import build_system
    >>> with build_system("service") as system:
    ...     testing = system.coordinators.testing
    ...     with testing.environment("test_upload", lease=64 * 1024) as own:
    ...         with own.resources.lease(4096, owner="upload") as view:
    ...             view[:2] = b"ok"
    ...     testing.last.left
    ()

    ``environment`` raises LeftBehindError at its end where something was left: a buffer that is still lent, a task that
    does not end, a lock that is held, what could not be closed. It is taken away all the same, so that the next
    environment finds nothing of it. Each environment has a machine in ``state`` while it is open.
    """

    __test__ = False

    def __init__(
        self,
        *,
        tests: ITestManager,
        resources: IResourceManager,
        state: IStateManager,
        part: str = "tests",
        on_closed: Callable[[EnvironmentRecord], object] | None = None,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.tests = ScopedTests(tests, part)
        self.resources = ScopedResources(resources, part)
        self.state = ScopedStates(state, part)
        self._on_closed = on_closed
        self._lock = nullcontext() if lock is None else lock
        self.opened = 0
        self.last: EnvironmentRecord | None = None
        """Of the environment that was closed last."""

    def open(self, spec: EnvironmentSpec) -> Environment:
        """Open an environment. Raises DuplicateEnvironmentError where one of that name is open."""
        self.tests.open_environment(spec)
        try:
            self.state.define(spec.name, LIFE)
            self.state.fire(spec.name, "open")
            with self._lock:
                self.opened += 1
            return self.tests.environment(spec.name)
        except BaseException:
            with suppress(CoreSysError):  # what it failed of is on its way
                self.state.release(spec.name)
            self.tests.close_environment(spec.name)
            raise

    def verify(self, name: str) -> EnvironmentRecord:
        """What is left in an environment now, of what its test should have given back; nothing is taken away."""
        return self.tests.verify_environment(name)

    def close(self, name: str) -> EnvironmentRecord:
        """Close an environment; its record says what was left behind, which is gone now.

        Raises UnknownEnvironmentError where none of that name is open.
        """
        self._tell(name, "close")
        try:
            record = self.tests.close_environment(name)
            self._tell(name, "leave" if record.left else "clean")
        finally:
            if name not in {each.name for each in self.tests.environments()}:
                with suppress(StateError):
                    self.state.release(name)
                self.resources.release_owner(name)
        with self._lock:
            self.last = record
        if self._on_closed is not None:
            self._on_closed(record)
        return record

    def _tell(self, name: str, event: str) -> None:
        # An environment is closed, whether a store can take a note of that or not.
        with suppress(StateError):
            self.state.fire(name, event)

    @contextmanager
    def environment(
        self,
        name: str,
        *,
        heap: int | None = None,
        lease: int | None = None,
        threads: int | None = None,
        timeout: float | None = None,
        ranks: Iterable[str] | None = None,
    ) -> Iterator[Environment]:
        """An environment for a ``with`` block. Raises LeftBehindError at its end, unless an error is on its way."""
        ordered = None if ranks is None else tuple(ranks)
        spec = EnvironmentSpec(name, heap=heap, lease=lease, threads=threads, timeout=timeout, ranks=ordered)
        environment = self.open(spec)
        try:
            yield environment
        except BaseException:
            self.close(name)
            raise
        record = self.close(name)
        if record.left:
            raise LeftBehindError(environment=name, left=record.left)

    def close_all(self) -> tuple[EnvironmentRecord, ...]:
        """Close whatever is open, the latest first. All are attempted; the first error is raised in the end."""
        records: list[EnvironmentRecord] = []
        problem: Exception | None = None
        for each in reversed(self.tests.environments()):
            try:
                records.append(self.close(each.name))
            except UnknownEnvironmentError:  # closed by somebody else meanwhile
                continue
            except Exception as error:
                problem = problem or error
        try:
            if problem is not None:
                raise problem
        finally:
            del problem  # it has this frame
        return tuple(records)

    def __repr__(self) -> str:
        return f"<TestingCoordinator: {len(self.tests.environments())} open, {self.opened} so far>"


__all__ = ["LIFE", "TestingCoordinator"]
