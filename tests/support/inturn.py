"""Calls that are made one after the other, where one expression is wanted."""

from __future__ import annotations

from collections.abc import Callable


def in_turn(*calls: Callable[[], object]) -> Callable[[], object]:
    """A function that makes these calls, and returns what the last one does."""

    def run() -> object:
        found: object = None
        for call in calls:
            found = call()
        return found

    return run
