"""Who is told of components: monitoring, a state manager that keeps a machine for each, and of problems the error
manager. None of them can stop a change: what telling raises is told to the next, the log in the end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from coresys.system_records import StateDefinition

if TYPE_CHECKING:
    from coresys.interfaces import IErrorManager, IMonitoringManager, IStateManager

log = logging.getLogger("coresys.components")

STOPPED, STARTING, RUNNING, STOPPING, FAILED = "stopped", "starting", "running", "stopping", "failed"
STATES = (STOPPED, STARTING, RUNNING, STOPPING, FAILED)

# event, source, target: the life of a component.
LIFE = StateDefinition(
    name="component",
    states=STATES,
    initial=STOPPED,
    transitions=(
        ("start", STOPPED, STARTING),
        ("start", FAILED, STARTING),
        ("started", STARTING, RUNNING),
        ("abandon", STARTING, STOPPED),  # interrupted before its start() was called
        ("stop", RUNNING, STOPPING),
        ("stopped", STOPPING, STOPPED),
        ("fail", STOPPED, FAILED),  # it may not be restarted so often
        ("fail", STARTING, FAILED),
        ("fail", RUNNING, FAILED),
        ("fail", STOPPING, FAILED),
        ("reset", FAILED, STOPPED),
    ),
)


def way(source: str, target: str) -> tuple[str, ...]:
    """The events that lead from one state to another, as few as there are.

    >>> way("running", "stopping"), way("starting", "stopping"), way("failed", "failed")
    (('stop',), ('started', 'stop'), ())
    """
    ways: dict[str, tuple[str, ...]] = {source: ()}
    for state in _met(ways):
        if state == target:
            break
        for event, begins, ends in LIFE.transitions:
            if begins == state:
                ways.setdefault(ends, (*ways[state], event))
    return ways[target]


def _met(ways: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """The states in the order they were come to, those too that come while it is looked."""
    at = 0
    while at < len(ways):
        yield list(ways)[at]
        at += 1


WAYS = {(source, target): way(source, target) for source in STATES for target in STATES}


class Teller:
    """Tells whom there is to tell; each of the three may be missing."""

    __slots__ = ("_errors", "_monitoring", "_states")

    def __init__(
        self, monitoring: IMonitoringManager | None, states: IStateManager | None, errors: IErrorManager | None
    ) -> None:
        self._monitoring, self._states, self._errors = monitoring, states, errors

    def declare(self, name: str) -> bool:
        """Have a machine for a new component; whether it is a new one. Raises what the state manager raises.

        One that is there already was recovered from a store: it goes on from ``stopped``.
        """
        if self._states is None:
            return False
        if machine(name) not in self._states.names():
            self._states.define(machine(name), LIFE)
            return True
        self._keep(name, STOPPED, "registered")
        return False

    def take_back(self, name: str) -> None:
        """Have no machine for it after all."""
        if self._states is not None:
            try:
                self._states.release(machine(name))
            except Exception as error:
                self.problem(name, error)

    def moved(self, name: str, state: str, cause: str | None) -> None:
        """A component is in another state now."""
        if self._states is not None:
            try:
                self._keep(name, state, cause)
            except Exception as error:  # such as a disk that is full: the component goes its way all the same
                self.problem(name, error)
        self.count(f"components.{state}", name)

    def _keep(self, name: str, state: str, cause: str | None) -> None:
        assert self._states is not None
        # By the way from where the machine is, not from where the component was: a step that could not be kept, or
        # that an interruption cut off, is made up for by the next one.
        for event in WAYS[self._states.state(machine(name)), state]:
            self._states.fire(machine(name), event, cause=cause, actor="components")

    def count(self, what: str, name: str) -> None:
        """Something happened."""
        if self._monitoring is not None:
            try:
                self._monitoring.count(what, component=name)
            except Exception as error:
                log.error("%s: monitoring failed at %s", name, what, exc_info=error)

    def took(self, what: str, seconds: float, name: str) -> None:
        """Something took its time."""
        if self._monitoring is not None:
            try:
                self._monitoring.record(what, seconds, unit="s", component=name)
            except Exception as error:
                log.error("%s: monitoring failed at %s", name, what, exc_info=error)

    def problem(self, name: str, error: BaseException) -> None:
        """Something went wrong that nobody gets raised."""
        if self._errors is not None:
            try:
                self._errors.report(error, component=name)
                return
            except Exception as second:
                log.error("%s: the error manager failed", name, exc_info=second)
        log.error("%s: %s", name, in_short(error), exc_info=error)


def machine(name: str) -> str:
    """The name of a component's machine."""
    return f"component.{name}"


def in_short(error: BaseException) -> str:
    """An error on one line, whatever its own text does."""
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be had)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


__all__ = ["FAILED", "LIFE", "RUNNING", "STARTING", "STATES", "STOPPED", "STOPPING", "Teller", "in_short", "machine"]
