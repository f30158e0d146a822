"""Cleanup managers with one fault each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from coresys import CleanupManager
from coresys.system_records import CleanupReport, CleanupStep
from validation_suites.faults.wrapping import Passing


class InAnyOrder(Passing):
    """Steps are run as they were declared, whatever they come after."""

    def __init__(self) -> None:
        super().__init__(CleanupManager())

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        """Without what it comes after."""
        self.inner.add(replace(step, after=()), run)


class _Plain(Passing):
    """Runs its steps itself, in order, in the thread that asks."""

    def __init__(self) -> None:
        super().__init__(CleanupManager())
        self.steps: list[tuple[CleanupStep, Callable[[], object]]] = []

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        """Note it."""
        self.inner.add(step, bool)
        self.steps.append((step, run))

    def ordered(self) -> list[tuple[CleanupStep, Callable[[], object]]]:
        """By what they come after."""
        runs = {step.name: run for step, run in self.steps}
        return [(step, runs[step.name]) for step in self.inner.steps()]


class StopsAtTheFirst(_Plain):
    """What fails ends the cleanup: the others are not run."""

    def run(self, *, channel: str | None = None, deadline: float | None = None) -> CleanupReport:
        """Until one fails; one that has a deadline is taken for one that hangs."""
        done: list[str] = []
        hung = tuple(step.name for step, _ in self.steps if step.deadline is not None)
        for step, run in self.ordered():
            if step.name in hung:
                continue
            try:
                run()
            except OSError as error:
                return CleanupReport(tuple(done), ((step.name, repr(error)),), hung, (), 0.0)
            done.append(step.name)
        return CleanupReport(tuple(done), (), hung, (), 0.0)


class SaysAllIsWell(Passing):
    """Runs all, and reports none of what failed or hangs."""

    def __init__(self) -> None:
        super().__init__(CleanupManager())

    def run(self, **given: Any) -> CleanupReport:
        """With all of it done."""
        report: CleanupReport = self.inner.run(**given)
        done = (*report.done, *(name for name, _ in report.failed), *report.hung)
        return replace(report, done=done, failed=(), hung=())


class RunsTwice(Passing):
    """Each step is called twice."""

    def __init__(self) -> None:
        super().__init__(CleanupManager())

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        """Twice."""

        def twice() -> None:
            run()
            run()

        self.inner.add(step, twice)
