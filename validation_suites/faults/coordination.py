"""Managers with one fault each that coordinators come upon, and systems of ours that have one.

The first are factories, as ``--coresys-subject ROLE=validation_suites.faults.coordination:NAME``; the others take a
system and break it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from coresys import CleanupManager, ComponentManager, ResourceManager
from coresys.coordinators.assembly import System
from coresys.state import SQLiteStore
from coresys.system_records import AllocationRecord, CleanupStep, ComponentSpec, ErrorRecord, OwnerUsage, PoolStatistics
from validation_suites.faults.state import LosesAnEntry

# -- resources -------------------------------------------------------------------------------------------------------


class ForgetsRefusals(ResourceManager):
    """What was refused is in no account."""

    def allocations(self) -> tuple[AllocationRecord, ...]:
        return tuple(replace(each, refused=0) for each in super().allocations())


class MixesOwners(ResourceManager):
    """All that was asked for is one owner's."""

    def allocations(self) -> tuple[AllocationRecord, ...]:
        return tuple(replace(each, owner="all") for each in super().allocations())


class CountsWrongly(ResourceManager):
    """A buffer of the largest tier more or less is not noticed in an owner's account."""

    def usage(self, owner: str) -> OwnerUsage:
        found = super().usage(owner)
        return replace(found, leased=found.leased - found.leased % 1_048_576)


class SumsWrongly(ResourceManager):
    """A tier tells of one buffer less than are busy."""

    def statistics(self) -> tuple[PoolStatistics, ...]:
        return tuple(replace(each, busy=max(each.busy - 1, 0)) for each in super().statistics())


# -- cleanup ---------------------------------------------------------------------------------------------------------


class StopsAtFailure(CleanupManager):
    """When a step has failed, the others are left out."""

    failed = False

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        def unless_failed() -> None:
            if not self.failed:
                self.failed = True
                run()
                self.failed = False

        super().add(step, unless_failed)


class ForgetsOrder(CleanupManager):
    """What a step comes after is forgotten."""

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        super().add(replace(step, after=()), run)


class HidesFailures(CleanupManager):
    """What a step raises is dropped."""

    def add(self, step: CleanupStep, run: Callable[[], object]) -> None:
        def quietly() -> None:
            try:
                run()
            except Exception:
                return

        super().add(step, quietly)


# -- components ------------------------------------------------------------------------------------------------------


class ForgetsNeeds(ComponentManager):
    """What a component needs is forgotten; circles are none then, either."""

    def register(self, spec: ComponentSpec, **calls: Any) -> None:
        super().register(replace(spec, needs=()), **calls)


class RestartsTooOften(ComponentManager):
    """Once more than it may be."""

    def register(self, spec: ComponentSpec, **calls: Any) -> None:
        super().register(replace(spec, restarts=spec.restarts + 1), **calls)


class LeavesTheRest(ComponentManager):
    """``rest-for-one`` is taken for ``one-for-one``."""

    def register(self, spec: ComponentSpec, **calls: Any) -> None:
        super().register(replace(spec, strategy="one-for-one"), **calls)


class LeavesDependents(ComponentManager):
    """A component is restarted, and those that need it are not started again."""

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        made = super().restart(name, cause=cause)
        for each in self.components():
            if made and name in each.needs:
                self.stop(each.name)
        return made


# -- state -----------------------------------------------------------------------------------------------------------


def loses_an_entry(path: Path | None = None, kept: int = 100_000) -> LosesAnEntry:
    """Of memory or disk, a history with a gap."""
    store = None if path is None else SQLiteStore(path / "state.db", history_rows=kept, history_bytes=10**9)
    return LosesAnEntry(store=store, history_count=kept, history_bytes=10**9)


# -- systems ---------------------------------------------------------------------------------------------------------


def keeps_steps_quiet(system: System) -> None:
    """What steps of the cleanup raise is reported to nobody."""
    system.cleanup._on_error = None


def loses_at_the_sink(system: System) -> None:
    """Each third error does not come to its sink."""
    declare, numbers = system.errors.sink, count()

    def sink(name: str, receive: Callable[[ErrorRecord], object]) -> None:
        declare(name, lambda record: receive(record) if next(numbers) % 3 else None)

    system.errors.sink = sink  # type: ignore[method-assign]  # that is the fault


def drops_causes(system: System) -> None:
    """Errors of components come without what they were raised from."""
    declare = system.errors.sink

    def sink(name: str, receive: Callable[[ErrorRecord], object]) -> None:
        declare(name, lambda record: receive(replace(record, causes=(), message=record.kind)))

    system.errors.sink = sink  # type: ignore[method-assign]  # that is the fault


def leaves_context_behind(system: System) -> None:
    """Tasks have the context of nobody."""
    submit = system.threads.submit

    def elsewhere(function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        return Context().run(submit, function, *given, **named)

    system.threads.submit = elsewhere  # type: ignore[method-assign]  # that is the fault


def misses_errors(system: System) -> None:
    """Monitoring is not told of each tenth error."""
    tell = system.monitoring.error_seen

    def deaf(record: ErrorRecord) -> None:
        if record.number % 10:
            tell(record)

    system.monitoring.error_seen = deaf  # type: ignore[method-assign]  # that is the fault
