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

    _Open = tuple[Environment, EnvironmentRecord]


class TestManager:
    """Keeps the environments that are open. ``make`` makes one: ``build_system`` gives that of the default managers.

    Invariant: a name is taken from before its environment is made until it is gone, by whoever makes or closes it
    meanwhile; each change of that is one step of a dictionary. What is made and closed is made and closed outside of
    the lock. An interruption leaves it open and known, or closed and forgotten.
    """

    __test__ = False

    def __init__(self, make: Callable[[EnvironmentSpec], Environment], *, now: Callable[[], float] = monotonic) -> None:
        self._make, self._now = make, now
        self._lock = RLock()
        self._open: dict[str, _Open | None] = {}  # None: being made, or closed
        renew_in_children(self, free_lock)

    def open_environment(self, spec: EnvironmentSpec) -> EnvironmentRecord:
        """Open an environment. Raises DuplicateEnvironmentError where one of that name is open."""
        environment, taken = None, False
        try:
            with self._lock:  # and no call between looking and taking, after which a signal's handler may come in
                if spec.name in self._open:
                    raise DuplicateEnvironmentError(environment=spec.name)
                self._open[spec.name], taken = None, True
            began = self._now()
            environment = self._make(spec)
            record = EnvironmentRecord(spec.name, True, self._now() - began)
            self._open[spec.name] = (environment, record)
            return record
        except BaseException:  # of whoever makes it, or an interruption: then nobody knows that it is open
            if taken:
                del self._open[spec.name]
            if environment is not None:
                environment.close()
            raise

    def environment(self, name: str) -> Environment:
        """The managers of one that is open. Raises UnknownEnvironmentError."""
        return self._found(name)[0]

    def verify_environment(self, name: str) -> EnvironmentRecord:
        """What is left in it now; nothing is taken away. Raises UnknownEnvironmentError."""
        environment, record = self._found(name)
        return replace(record, left=environment.left())

    def close_environment(self, name: str) -> EnvironmentRecord:
        """Close it; the record says what was left behind in it. Raises UnknownEnvironmentError."""
        found, begun = None, False
        try:
            with self._lock:
                open_now = self._found(name)
                self._open[name], found = None, open_now
            environment, record = found
            began, begun = self._now(), True
            left = environment.close()
        finally:  # no calls, after which another interruption may come
            if begun:
                del self._open[name]
            elif found is not None:  # interrupted before: it can be closed again
                self._open[name] = found
        return replace(record, open=False, cleanup_seconds=self._now() - began, left=left)

    def environments(self) -> tuple[EnvironmentRecord, ...]:
        """Those that are open, in the order they were opened."""
        return tuple(found[1] for found in list(self._open.values()) if found is not None)

    def _found(self, name: str) -> _Open:
        found = self._open.get(name)
        if found is None:
            raise UnknownEnvironmentError(environment=name)
        return found

    def __repr__(self) -> str:
        return f"<TestManager: {len(self._open)} environments open>"


if TYPE_CHECKING:
    _check: type[ITestManager] = TestManager

__all__ = ["TestManager"]
