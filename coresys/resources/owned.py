"""Anything that has to be closed, in the hands of an owner: files, sockets, connections, temporary folders."""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable
from sys import _getframe
from types import CodeType
from typing import NamedTuple

from coresys.errors.hierarchy import DuplicateResourceError, ResourcesNotClosedError, UnknownResourceError
from coresys.forks import renew_in_children
from coresys.threads.sites import site


class _Owned(NamedTuple):
    close: Callable[[], object]
    code: CodeType
    offset: int


class OwnedResources:
    """What was registered, by owner and name, in the order it came.

    Invariant: a resource is closed by whoever took it out, once, and outside of the lock: to close may take long, and
    may come back here.
    """

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._owned: dict[tuple[str, str], _Owned] = {}
        renew_in_children(self, OwnedResources._renew)

    def register(self, name: str, *, owner: str, close: Callable[[], object], depth: int = 1) -> None:
        """Put something in an owner's hands. Raises DuplicateResourceError where it has one of that name."""
        frame = _getframe(depth)
        owned = _Owned(close, frame.f_code, frame.f_lasti)
        with self._lock:
            self._put(owner, name, owned)

    def transfer(self, name: str, *, owner: str, to: str) -> None:
        """Give it to another owner. Raises UnknownResourceError, or DuplicateResourceError; then nothing changed."""
        with self._lock:
            if (owner, name) not in self._owned:
                raise UnknownResourceError(name=name, owner=owner)
            self._put(to, name, self._owned[owner, name])
            del self._owned[owner, name]

    def _put(self, owner: str, name: str, owned: _Owned) -> None:
        other = self._owned.get((owner, name))
        if other is not None:
            raise DuplicateResourceError(name=name, owner=owner, where=site(other.code, other.offset))
        self._owned[owner, name] = owned

    def forget(self, name: str, *, owner: str) -> None:
        """It was closed by somebody else. Raises UnknownResourceError."""
        with self._lock:
            if self._owned.pop((owner, name), None) is None:
                raise UnknownResourceError(name=name, owner=owner)

    def names(self, owner: str) -> tuple[tuple[str, str | None], ...]:
        """What an owner has, and where each was registered, in the order they came."""
        with self._lock:
            owned = [(name, each) for (of, name), each in self._owned.items() if of == owner]
        return tuple((name, site(each.code, each.offset)) for name, each in owned)

    def close_all(self, owner: str) -> int:
        """Close all that an owner has, the latest first; returns how many that were.

        Goes on where one fails, and raises ResourcesNotClosedError in the end, with all of the errors. What failed to
        close is no longer registered: a second attempt would fail too, or close what another got meanwhile.
        """
        closed, problems, first = 0, [], None
        while True:
            with self._lock:
                key = next((key for key in reversed(self._owned) if key[0] == owner), None)
                if key is None:
                    break
                owned = self._owned.pop(key)
            try:
                owned.close()
                closed += 1
            except Exception as error:
                problems.append((key[1], f"{type(error).__name__}: {error}"))
                first = first or error
        if problems:
            raise ResourcesNotClosedError(owner=owner, closed=closed, problems=tuple(problems)) from first
        return closed

    def _renew(self) -> None:
        self._lock = allocate_lock()


__all__ = ["OwnedResources"]
