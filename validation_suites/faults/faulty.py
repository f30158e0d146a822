"""How a fault is planted: something sound, with a method in the place of one of its own."""

from __future__ import annotations

from typing import Any


class Faulty:
    """As ``sound``, but for what is given."""

    def __init__(self, sound: Any, **instead: Any) -> None:
        self.__dict__.update(instead, sound=sound)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["sound"], name)
