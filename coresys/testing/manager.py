"""Opens and closes the environments of tests, which somebody else knows how to make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING

from coresys.clock import monotonic
from coresys.errors.hierarchy import DuplicateEnvironmentError, UnknownEnvironmentError
from coresys.forks import free_lock, renew_in_children
from coresys.system_records import EnvironmentRecord, EnvironmentSpec

if TYPE_CHECKING:
    from coresys.interfaces import Environment, ITestManager


class TestManager:
    """Keeps the environments that are open. ``make`` makes one: ``build_system`` gives that of the default managers.

    Invariant: a name is taken from before its environment is made until it is gone; what is made and closed is made
    and closed outside of the lock, by whoever took the name or the environment out.
    """

    __test__ = False

    def __init__(self, make: Callable[[EnvironmentSpec], Environment], *, now: Callable[[], float] = monotonic) -> None:
        self._make, self._now = make, now
        self._lock = RLock()
        self._open: dict[str, tuple[Environment, EnvironmentRecord] | None] = {}  # None: being made, or closed
        renew_in_children(self, free_lock)

    def open_environment(self, spec: EnvironmentSpec) -> EnvironmentRecord:
        """Open an environment. Raises DuplicateEnvironmentError where one of that name is open."""
        with self._lock:
            if spec.name in self._open:
                raise DuplicateEnvironmentError(environment=spec.name)
            self._open[spec.name] = None
        began = self._now()
        try:
            environment = self._make(spec)
        except BaseException:
            self._open.pop(spec.name, None)
            raise
        record = EnvironmentRecord(spec.name, True, self._now() - began)
        self._open[spec.name] = (environment, record)
        return record

    def environment(self, name: str) -> Environment:
        """The managers of one that is open. Raises UnknownEnvironmentError."""
        return self._found(name)[0]

    def verify_environment(self, name: str) -> EnvironmentRecord:
        """What is left in it now; nothing is taken away. Raises UnknownEnvironmentError."""
        environment, record = self._found(name)
        return replace(record, left=environment.left())

    def close_environment(self, name: str) -> EnvironmentRecord:
        """Close it; the record says what was left behind in it. Raises UnknownEnvironmentError."""
        with self._lock:
            environment, record = self._found(name)
            self._open[name] = None
        began = self._now()
        try:
            left = environment.close()
        finally:
            self._open.pop(name, None)
        return replace(record, open=False, cleanup_seconds=self._now() - began, left=left)

    def environments(self) -> tuple[EnvironmentRecord, ...]:
        """Those that are open, in the order they were opened."""
        return tuple(found[1] for found in list(self._open.values()) if found is not None)

    def _found(self, name: str) -> tuple[Environment, EnvironmentRecord]:
        found = self._open.get(name)
        if found is None:
            raise UnknownEnvironmentError(environment=name)
        return found

    def __repr__(self) -> str:
        return f"<TestManager: {len(self._open)} environments open>"


if TYPE_CHECKING:
    _check: type[ITestManager] = TestManager

__all__ = ["TestManager"]
