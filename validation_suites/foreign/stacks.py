"""Cleanup: an ExitStack of the standard library.

The last step that was declared is the first that is run, whatever it says it comes after; deadlines and phases are
unknown to it; of several errors the last one is raised, with the others as its context; and what hangs, hangs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from coresys.system_records import CleanupReport, CleanupStep

if TYPE_CHECKING:
    from coresys.interfaces import ICleanupManager


class StackCleanup:
    """Steps in a list, which an ExitStack runs."""

    def __init__(self) -> None:
        self._steps: list[tuple[CleanupStep, Callable[[], object]]] = []

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        """Onto the list."""
        self._steps.append((step, run))

    def run(self, *, channel: str | None = None, deadline: float | None = None) -> CleanupReport:
        """Leave a stack that all of them were pushed on."""
        began, done = time.monotonic(), []
        steps = [each for each in self._steps if channel in (None, each[0].channel)]
        self._steps = [each for each in self._steps if each not in steps]

        def noted(name: str, run: Callable[[], object]) -> None:
            run()
            done.append(name)

        failed: tuple[tuple[str, str], ...] = ()
        try:
            with ExitStack() as stack:
                for step, run in steps:
                    stack.callback(noted, step.name, run)
        except Exception as error:
            failed = (("", f"{type(error).__name__}: {error}"),)  # of which step, an ExitStack does not say
        return CleanupReport(tuple(done), failed, (), (), time.monotonic() - began)


def make() -> StackCleanup:
    """The subject."""
    return StackCleanup()


if TYPE_CHECKING:
    _check: type[ICleanupManager] = StackCleanup
