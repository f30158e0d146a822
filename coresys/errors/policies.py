"""What to do about errors of which class: a table of procedures, and the procedures.

A procedure is asked about a failure and answers with seconds to wait before the call is made again, or None: not mine,
or not any more, ask the next. What it raises counts as None, and is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from coresys.errors.backoff import RetryState
from coresys.errors.breaker import CircuitBreaker, CircuitBreakers
from coresys.errors.restart import RestartIntensity, affected
from coresys.errors.retry import Retrying
from coresys.system_records import ComponentRecord


class Failure:
    """A call that failed, or an error that came from elsewhere (``called`` is false: there is nothing to try again).

    ``component`` is where it arose, ``at`` the one on its path whose procedures are asked. ``used``: how often this
    procedure was asked about this call before. ``retries``: how far trying again has come, for this procedure.
    ``error`` is there while the procedure is asked, and gone after that.
    """

    __slots__ = ("at", "called", "component", "error", "retries", "used")

    def __init__(
        self, *, error: BaseException, component: str, at: str, used: int, called: bool, retries: RetryState
    ) -> None:
        self.error, self.component, self.at = error, component, at
        self.used, self.called, self.retries = used, called, retries


class Procedure(Protocol):
    """Something that may end an error. Any thread may ask it.

    ``acts``: asking it does something, which may take its time; it is done after the error was reported, and by
    coroutines in another thread.
    """

    @property
    def name(self) -> str:
        """What monitoring calls it."""

    @property
    def acts(self) -> bool:
        """Whether asking it does something."""

    def recover(self, failure: Failure) -> float | None:
        """Seconds until the call is to be made again; None: ask the next."""


class Retry:
    """Try again, by the rule of a Retrying."""

    name, acts = "retry", False

    def __init__(self, retrying: Retrying) -> None:
        self.retrying = retrying

    def recover(self, failure: Failure) -> float | None:
        """The pause, while there are attempts left."""
        return self.retrying.pause(failure.retries, failure.error) if failure.called else None


class Break:
    """Count errors of these classes as failures of a circuit: of one for all, or of one for each component.

    It recovers from nothing. While the circuit is open, calls of the component raise CircuitOpenError, for which the
    table may have procedures of its own.
    """

    name, acts = "break", False

    def __init__(self, circuits: CircuitBreaker | CircuitBreakers) -> None:
        self.circuits = circuits

    def circuit(self, component: str) -> CircuitBreaker:
        """The circuit of a component."""
        return self.circuits if isinstance(self.circuits, CircuitBreaker) else self.circuits[component]

    def recover(self, failure: Failure) -> float | None:
        """Nothing."""
        return None


class Escalate:
    """Ask no further procedure here, but those of the next on the path; at its end the error goes to the caller.

    That is also what happens at the end of a sequence: this says it.
    """

    name, acts = "escalate", False

    def recover(self, failure: Failure) -> float | None:
        """Nothing."""
        return None


class _Restores(Protocol):
    def rollback(
        self, name: str, steps: int | None = None, *, to_snapshot: str | None = None, cause: str | None = None
    ) -> str: ...


class RestoreState:
    """Take a state machine back, to a snapshot or by some steps, and make the call again: ``times`` for one call.

    ``states`` is an IStateManager, or has its ``rollback``. ``machine``: by default the one named as the component.
    """

    name, acts = "restore", True

    def __init__(
        self,
        states: _Restores,
        machine: str | None = None,
        *,
        to_snapshot: str | None = None,
        steps: int | None = None,
        times: int = 1,
    ) -> None:
        if to_snapshot is not None and steps is not None:
            raise ValueError("a machine goes back to a snapshot, or by steps")
        if not times >= 0:  # NaN, say, which no call would reach
            raise ValueError("times is at least 0")
        self._states, self._machine, self._times = states, machine, times
        self._to_snapshot, self._steps = to_snapshot, steps

    def recover(self, failure: Failure) -> float | None:
        """Rolled back; RollbackError, where there is nothing to go back to, is as good as no."""
        if failure.used >= self._times:
            return None
        self._states.rollback(
            self._machine or failure.component,
            self._steps,
            to_snapshot=self._to_snapshot,
            cause=f"{type(failure.error).__name__} in {failure.component}",
        )
        return 0.0


class _Restarts(Protocol):
    def start(self, name: str | None = None) -> None: ...
    def stop(self, name: str | None = None) -> None: ...
    def restart(self, name: str, *, cause: str | None = None) -> bool: ...
    def components(self) -> tuple[ComponentRecord, ...]: ...


class RestartComponent:
    """Restart a component and make the call again.

    ``components`` is an IComponentManager, or has these of its methods. Without ``component``, the one that failed.
    Without ``strategy``, how and how often is left to what the manager knows of the component (False from it is no).
    With ``one-for-one`` or ``rest-for-one`` the components are stopped and started from here, those that start last
    first, and ``intensity`` says how often; where it is spent, nothing is touched. What was stopped is started again
    also where another of them does not stop or start, which is then raised; one that did not stop is not started.

    ``times`` is how often for one call, whatever the manager and the intensity allow: a call that takes longer to fail
    than they look back would never end. By default as often as ``intensity`` allows at once, and where there is none,
    once.
    """

    name, acts = "restart", True

    def __init__(
        self,
        components: _Restarts,
        component: str | None = None,
        *,
        strategy: str | None = None,
        intensity: RestartIntensity | None = None,
        times: int | None = None,
    ) -> None:
        if strategy is not None:
            affected(("any",), "any", strategy)  # raises for one that is none
        self._components, self._component, self._strategy = components, component, strategy
        self._intensity = intensity or (RestartIntensity() if strategy is not None else None)
        if times is None:
            times = 1 if self._intensity is None else self._intensity.restarts
        if not times >= 0:
            raise ValueError("times is at least 0")
        self._times = times

    def recover(self, failure: Failure) -> float | None:
        """Restarted; None where that was too often."""
        if failure.used >= self._times:
            return None
        name = self._component or failure.component
        if self._intensity is not None and not self._intensity.allow(name):
            return None
        if self._strategy is None:
            cause = f"{type(failure.error).__name__} in {failure.component}"
            return 0.0 if self._components.restart(name, cause=cause) else None
        order = [record.name for record in self._components.components()]
        # The last that was stopped is the first that is started; what one of them raises keeps none of the others down.
        with ExitStack() as stopped:
            for each in reversed(affected(order, name, self._strategy)):
                self._components.stop(each)
                stopped.callback(self._components.start, each)
        return 0.0


Declared = Procedure | Retrying | CircuitBreaker | CircuitBreakers


class Policies:
    """A table of error classes and procedures; an error is a matter of the most specific class that is listed.

    Most specific is what comes first in the order in which the class looks for its methods (its MRO). A Retrying, a
    CircuitBreaker or CircuitBreakers may stand for themselves.

    >>> from coresys.errors.retry import Retrying
    >>> table = Policies({OSError: [Retrying(), Escalate()], ConnectionError: [Escalate()]})
    >>> [procedure.name for procedure in table.of(TimeoutError)], [each.name for each in table.of(BrokenPipeError)]
    (['retry', 'escalate'], ['escalate'])
    >>> table.of(KeyError)
    ()
    """

    __slots__ = ("_breaks", "_table")

    def __init__(self, table: Mapping[type[BaseException], Sequence[Declared]]) -> None:
        self._table: dict[type[BaseException], tuple[Procedure, ...]] = {
            kind: tuple(map(_procedure, procedures)) for kind, procedures in table.items()
        }
        for kind, procedures in self._table.items():
            for at, procedure in enumerate(procedures[:-1]):
                if isinstance(procedure, Escalate):
                    unused = procedures[at + 1].name
                    raise ValueError(f"{kind.__name__}: {unused!r} is never asked, for it comes after Escalate")
        breaks = (each for procedures in self._table.values() for each in procedures if isinstance(each, Break))
        self._breaks = tuple({id(each.circuits): each for each in breaks}.values())

    def of(self, kind: type[BaseException]) -> tuple[Procedure, ...]:
        """The procedures for errors of a class, in their order; none where neither it nor a base of it is listed."""
        for base in kind.__mro__:
            procedures = self._table.get(base)
            if procedures is not None:
                return procedures
        return ()

    def circuits(self, component: str) -> tuple[CircuitBreaker, ...]:
        """The circuits that calls of a component go through: all that the table has, each once."""
        return tuple(circuit for _, circuit in self.declared_circuits(component))

    def declared_circuits(self, component: str) -> tuple[tuple[object, CircuitBreaker], ...]:
        """The same, each with what it was declared by: of many keys, a circuit may be forgotten during a call."""
        return tuple((each.circuits, each.circuit(component)) for each in self._breaks)

    def counts(self, kind: type[BaseException], declared: object) -> bool:
        """Whether errors of a class are failures of the circuits that were declared by ``declared``."""
        return any(isinstance(each, Break) and each.circuits is declared for each in self.of(kind))

    def classes(self) -> tuple[type[BaseException], ...]:
        """Those that are listed."""
        return tuple(self._table)


def _procedure(declared: Any) -> Procedure:
    if isinstance(declared, Retrying):
        return Retry(declared)
    if isinstance(declared, (CircuitBreaker, CircuitBreakers)):
        return Break(declared)
    if not callable(getattr(declared, "recover", None)):
        raise TypeError(f"{declared!r} is no procedure: it has no recover()")
    return declared  # type: ignore[no-any-return]  # as was just looked at


def timed(policies: Iterable[Policies]) -> bool:
    """Whether any procedure needs to know when the call began."""
    return any(
        isinstance(procedure, Retry) and procedure.retrying.timed
        for table in policies
        for kind in table.classes()
        for procedure in table.of(kind)
    )
