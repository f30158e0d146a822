"""Managers that pass everything on to one of ours, for a planted fault to change one thing of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Passing:
    """Passes on to ``inner`` what a class that is made of this does not have itself."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Clock:
    """A time that stands still but for what is put on it."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


class Slow(Passing):
    """Every call takes so many seconds, by a clock that nobody has to wait for."""

    def __init__(self, inner: Any, clock: Clock, seconds: float) -> None:
        super().__init__(inner)
        self._clock, self._seconds = clock, seconds

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        return self._slowed(found) if callable(found) else found

    def _slowed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*args: Any, **kwargs: Any) -> Any:
            self._clock.time += self._seconds
            made = call(*args, **kwargs)
            return Slow(made, self._clock, self._seconds) if hasattr(made, "release") else made

        return slow
