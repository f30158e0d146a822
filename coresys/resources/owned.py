"""Anything that has to be closed, in the hands of an owner: files, sockets, connections, temporary folders."""

from __future__ import annotations

from collections.abc import Callable
from sys import _getframe
from threading import RLock
from types import CodeType
from typing import NamedTuple

from coresys.errors.hierarchy import DuplicateResourceError, ResourcesNotClosedError, UnknownResourceError
from coresys.forks import free_lock, renew_in_children
from coresys.system_records import OwnedRecord
from coresys.threads.sites import SEEN_THROUGH, location, site

_MOST_ROUNDS = 100


class _Owned(NamedTuple):
    close: Callable[[], object]
    code: CodeType
    offset: int


class OwnedResources:
    """What was registered, by owner and name, in the order it came.

    Invariants: a resource is closed by whoever took it out, once, and outside of the lock: to close may take long, and
    may come back here. The lock is re-entrant, for a finalizer or a signal's handler may come in while its own thread
    is inside; so under it nothing is decided by two looks: each change is one step of a dictionary.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._owned: dict[str, dict[str, _Owned]] = {}
        self._closing: dict[object, OwnedRecord] = {}
        renew_in_children(self, free_lock)

    def register(
        self, name: str, *, owner: str, close: Callable[[], object], depth: int = 1, told: str | None = None
    ) -> None:
        """Put something in an owner's hands. Raises DuplicateResourceError where it has one of that name.

        ``told``: what the owner is called in errors.
        """
        frame = _getframe(depth)
        while id(frame.f_code) in SEEN_THROUGH and frame.f_back is not None:
            frame = frame.f_back
        owned = _Owned(close, frame.f_code, frame.f_lasti)
        with self._lock:
            self._put(owner, name, owned, told)

    def transfer(self, name: str, *, owner: str, to: str) -> None:
        """Give it to another owner. Raises UnknownResourceError, or DuplicateResourceError; then nothing changed."""
        with self._lock:
            owned = self._owned.get(owner, {}).get(name)
            if owned is None:
                raise UnknownResourceError(name=name, owner=owner)
            if to != owner:
                self._put(to, name, owned)
                self._take(owner, name)

    def _put(self, owner: str, name: str, owned: _Owned, told: str | None = None) -> None:
        other = self._owned.setdefault(owner, {}).setdefault(name, owned)
        if other is not owned:
            raise DuplicateResourceError(name=name, owner=told or owner, where=site(other.code, other.offset))

    def _take(self, owner: str, name: str | None) -> tuple[str, _Owned] | None:
        """Out of an owner's hands: what has that name, or (None) what came last; None where there is no such."""
        has = self._owned.get(owner, {})
        try:
            taken = has.popitem() if name is None else (name, has.pop(name))
        except KeyError:
            return None
        if not has:
            self._owned.pop(owner, None)
            if has:  # registered by a finalizer between the two lines
                self._owned.setdefault(owner, {}).update(has)
        return taken

    def forget(self, name: str, *, owner: str) -> None:
        """It was closed by somebody else. Raises UnknownResourceError."""
        with self._lock:
            if self._take(owner, name) is None:
                raise UnknownResourceError(name=name, owner=owner)

    def names(self, owner: str) -> tuple[tuple[str, str | None], ...]:
        """What an owner has, and where each was registered, in the order they came."""
        with self._lock:
            owned = list(self._owned.get(owner, {}).items())
        return tuple((name, site(each.code, each.offset)) for name, each in owned)

    def owners(self) -> tuple[str, ...]:
        """Those who have anything."""
        with self._lock:
            return tuple(self._owned)

    def records(self, owner: str) -> tuple[OwnedRecord, ...]:
        """As ``names``, as records."""
        with self._lock:
            owned = list(self._owned.get(owner, {}).items())
        return tuple(OwnedRecord(name, owner, location(each.code, each.offset)) for name, each in owned)

    def closing(self) -> tuple[OwnedRecord, ...]:
        """What is being closed by ``close_all`` now, and takes its time."""
        return tuple(self._closing.values())

    def discard(self, name: str, *, owner: str, close: Callable[[], object]) -> None:
        """As ``forget`` where the owner has that very thing; nothing where it does not."""
        with self._lock:
            owned = self._owned.get(owner, {}).get(name)
            if owned is not None and owned.close is close:
                self._take(owner, name)

    def close_all(self, owner: str, *, told: str | None = None) -> int:
        """Close all that an owner has, the latest first; returns how many that were.

        ``told``: what the owner is called in errors.

        What is registered meanwhile is closed too, for some rounds: whatever registers itself anew whenever it is
        closed is named as a problem. Goes on where one fails, and raises ResourcesNotClosedError in the end, with all
        of the errors. What failed to close is no longer registered: a second attempt would fail too, or close what
        another got meanwhile.
        """
        closed, problems, first = 0, [], None
        times: dict[str, int] = {}
        while True:
            with self._lock:
                taken = self._take(owner, None)
            if taken is None:
                break
            name, owned = taken
            times[name] = times.get(name, 0) + 1
            mine = object()
            try:
                self._closing[mine] = OwnedRecord(name, owner, location(owned.code, owned.offset))
                owned.close()
                closed += 1
            except Exception as error:
                problems.append((name, f"{type(error).__name__}: {error}"))
                first = first or error
            finally:
                self._closing.pop(mine, None)
            if times[name] == _MOST_ROUNDS:
                problems.append((name, f"is registered anew whenever it is closed, {_MOST_ROUNDS} times by now"))
                break
        if problems:
            raise ResourcesNotClosedError(owner=told or owner, closed=closed, problems=tuple(problems)) from first
        return closed


__all__ = ["OwnedResources"]
