"""Results that are made once for the same objects: for what nearly all tests of a run come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class IdentityMemo(Generic[Result]):
    """Results by the identity of what they are made of, ``most`` of them at a time.

    Invariant: what an id stands for is held as long as the entry, so that no other object can come to have it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[tuple[int, ...], tuple[tuple[object, ...], Result]] = {}

    def of(self, objects: tuple[object, ...], make: Callable[[], Result]) -> Result:
        """What ``make`` returned for these very objects, the same each time."""
        identity = tuple(map(id, objects))
        kept = self._kept.get(identity)
        if kept is None:
            if len(self._kept) >= self._most:
                self._kept.clear()
            kept = self._kept[identity] = objects, make()
        return kept[1]
