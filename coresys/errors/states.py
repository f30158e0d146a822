"""Error states of machines: a transition that failed is reported, and the state it left behind is found a way out of.

Machines are reached through what is given as ``states``: an IStateManager, or whatever has these of its methods.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import RLock
from typing import Any, Protocol

from coresys.errors.hierarchy import (
    GUARDED_OFF,
    ObserverFailedError,
    RouteError,
    StateError,
    TransitionFailedError,
    TransitionRefusedError,
    UnknownMachineError,
)
from coresys.errors.policies import Failure
from coresys.forks import free_lock, renew_in_children


class States(Protocol):
    """What is needed of a state manager."""

    def state(self, name: str) -> str: ...

    def fire(
        self, name: str, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> object: ...

    def rollback(
        self, name: str, steps: int | None = None, *, to_snapshot: str | None = None, cause: str | None = None
    ) -> str: ...


class Reporter(Protocol):
    """What is needed of an error manager."""

    def report(self, error: BaseException, *, component: str) -> object: ...


@dataclass(frozen=True, slots=True)
class ErrorState:
    """The error state of a machine, and the ways in and out.

    ``component`` is whose errors those of its transitions are. ``enter`` is an event that leads into the state, for
    errors that no transition met with. ``leave`` is an event that leads out; without one, the machine is rolled back:
    to ``snapshot``, or by the one step that led in.
    """

    machine: str
    component: str
    state: str
    enter: str | None = None
    leave: str | None = None
    snapshot: str | None = None


class ErrorStates:
    """Watches over machines that have error states.

    Give ``observed`` to a StateManager as its ``on_error``, and fire events through ``fire``: what fails is reported
    as an error of the machine's component. ``enter`` and ``leave`` move machines in and out; ``leaving`` is a
    procedure for policies. Machines that are not declared are passed through, their errors unreported.
    """

    def __init__(self, *, errors: Reporter, states: States, declared: Iterable[ErrorState] = ()) -> None:
        self._errors, self._states = errors, states
        self._lock = RLock()
        renew_in_children(self, free_lock)
        self._declared: dict[str, ErrorState] = {}
        for each in declared:
            self.declare(each)

    def declare(self, state: ErrorState) -> None:
        """Watch over a machine. Raises RouteError where its errors go to another component already."""
        with self._lock:
            known = self._declared.get(state.machine)
            if known is not None and known.component != state.component:
                problem = f"machine {state.machine!r} is one of {known.component!r}"
                raise RouteError(component=state.machine, to=state.component, problem=problem)
            self._declared = {**self._declared, state.machine: state}

    def observed(self, error: StateError) -> None:
        """Report what a state manager was left with, under the component of the machine that it names."""
        if isinstance(error, TransitionRefusedError) and error.reason == GUARDED_OFF:
            return  # a timer's ordinary life
        declared = self._declared.get(getattr(error, "machine", ""))
        if declared is None:
            raise error  # so that whoever was to be relieved of it has it back
        self._errors.report(error, component=declared.component)

    def fire(
        self, machine: str, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> object:
        """Fire an event; what fails is reported and raised. A refusal is no failure: nothing was begun."""
        try:
            return self._states.fire(machine, event, payload, cause=cause, actor=actor)
        except (TransitionFailedError, ObserverFailedError) as error:
            self.observed(error)
            raise

    def is_in_error(self, machine: str) -> bool:
        """Whether a machine is in its error state. Raises UnknownMachineError where none is declared for it."""
        return self._states.state(machine) == self._of(machine).state

    def enter(self, machine: str, error: BaseException) -> bool:
        """Report an error and take the machine into its error state; False where it is in it, or no event leads there.

        A transition that failed has done that itself, where its table declares the state.
        """
        declared = self._of(machine)
        record = self._errors.report(error, component=declared.component)
        if declared.enter is None or self.is_in_error(machine):
            return False
        self.fire(machine, declared.enter, cause=_cause(error, record))
        return True

    def leave(self, machine: str, *, cause: str = "recovery") -> bool:
        """Take a machine out of its error state; False where it is not in it, or still is.

        Raises what firing or rolling back raises, reported.
        """
        declared = self._of(machine)
        if not self.is_in_error(machine):
            return False
        if declared.leave is not None:
            self.fire(machine, declared.leave, cause=cause)
        else:
            try:
                self._states.rollback(machine, to_snapshot=declared.snapshot, cause=cause)
            except StateError as error:
                self._errors.report(error, component=declared.component)
                raise
        return not self.is_in_error(machine)

    def leaving(self, machine: str | None = None, *, times: int = 1) -> LeaveErrorState:
        """A procedure that takes a machine out, by default the one named as the component, and calls again."""
        return LeaveErrorState(self, machine, times=times)

    def _of(self, machine: str) -> ErrorState:
        try:
            return self._declared[machine]
        except KeyError:
            raise UnknownMachineError(machine=machine, near=tuple(self._declared)) from None


def _cause(error: BaseException, record: object) -> str:
    """For a history that may be kept: the text as it was scrubbed for the record, not that of the error itself."""
    message = getattr(record, "message", "")
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text[:200].encode("utf-8", "replace").decode()


class LeaveErrorState:
    """Take a machine out of its error state and make the call again: ``times`` for one call."""

    name, acts = "leave error state", True

    def __init__(self, states: ErrorStates, machine: str | None = None, *, times: int = 1) -> None:
        if not times >= 0:  # NaN, say, which no call would reach
            raise ValueError("times is at least 0")
        self._states, self._machine, self._times = states, machine, times

    def recover(self, failure: Failure) -> float | None:
        """Out of it; None where the machine was not in it, or is still."""
        if failure.used >= self._times:
            return None
        return 0.0 if self._states.leave(self._machine or failure.component) else None
