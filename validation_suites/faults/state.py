"""State managers with one fault each. Factories, as ``--coresys-subject state=validation_suites.faults.state:NAME``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any

from coresys.errors.hierarchy import TransitionFailedError
from coresys.interfaces import IMonitoringManager
from coresys.state import SQLiteStore, StateManager, TransitionTable
from coresys.system_records import MachineRecord, PendingTimer, StateDefinition, TransitionRecord


class ForgetsMachines(StateManager):
    """Of many machines one is not listed."""

    def names(self) -> tuple[str, ...]:
        return tuple(name for number, name in enumerate(super().names()) if number % 50 != 49)


class AcceptsUndeclared(StateManager):
    """An event more is accepted in the first state, which no table declares."""

    def define(self, name: str, definition: StateDefinition) -> None:
        more = ("e9", definition.initial, definition.states[-1])
        super().define(name, replace(definition, transitions=(*definition.transitions, more)))


class RefusesDeclared(StateManager):
    """The last transition of each table that leads on is forgotten."""

    def define(self, name: str, definition: StateDefinition) -> None:
        again = [each for each in definition.transitions if each[1] == each[2]]
        kept = tuple(each for each in definition.transitions if each not in again[-1:])
        super().define(name, replace(definition, transitions=kept))


class AsksGuardsWrongly(StateManager):
    """Guards are shown a payload that lets them all say yes."""

    def fire(self, name: str, event: str, payload: Any = None, **said: str | None) -> TransitionRecord | None:
        return super().fire(name, event, 7 if isinstance(payload, int) else payload, **said)


class MovesOneByOne(StateManager):
    """Several machines move one after the other, and those before one that fails have moved."""

    def fire_all(
        self, events: Mapping[str, str], payloads: Mapping[str, Any] | None = None, **said: str | None
    ) -> tuple[TransitionRecord, ...]:
        made = (self.fire(name, event, (payloads or {}).get(name), **said) for name, event in events.items())
        return tuple(record for record in made if record is not None)


class SwallowsFailures(StateManager):
    """A transition that fails is undone, and nobody hears of it."""

    def fire(self, name: str, event: str, payload: Any = None, **said: str | None) -> TransitionRecord | None:
        try:
            return super().fire(name, event, payload, **said)
        except TransitionFailedError:
            return None


class LeavesTraces(StateManager):
    """A transition that fails leaves a snapshot behind that nobody asked for."""

    def fire(self, name: str, event: str, payload: Any = None, **said: str | None) -> TransitionRecord | None:
        try:
            return super().fire(name, event, payload, **said)
        except TransitionFailedError:
            self.snapshot(name, "before it failed")
            raise


class LosesAnEntry(StateManager):
    """A history with a gap."""

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        return tuple(record for record in super().history(name, last) if record.sequence % 100 != 50)


class NumbersTwice(StateManager):
    """Two transitions have one number: what an update that is lost comes to."""

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        return tuple(
            replace(record, sequence=record.sequence - 1) if record.sequence % 100 == 50 else record
            for record in super().history(name, last)
        )


class ChecksSlowly(StateManager):
    """Guards take a millisecond each time they are asked."""

    def add(self, name: str, table: TransitionTable) -> Any:
        self.slow = name
        return super().add(name, table)

    def fire(self, name: str, event: str, payload: Any = None, **said: str | None) -> TransitionRecord | None:
        until = monotonic() + 0.001
        while name == self.slow and monotonic() < until:
            pass
        return super().fire(name, event, payload, **said)


class TakesAnyTable(StateManager):
    """Tables are taken as they come; what is wrong with one is found when it is fired."""

    def define(self, name: str, definition: StateDefinition) -> None:
        states = definition.states or ("nowhere",)
        rest = tuple(("next", one, two) for one, two in zip(states, states[1:], strict=False))
        super().define(name, StateDefinition(definition.name, states, states[0], rest))


class _Deaf:
    """Monitoring that misses each hundredth transition, or hears it twice."""

    def __init__(self, inner: IMonitoringManager, times: int) -> None:
        self._inner, self._times = inner, times

    def transition_made(self, record: TransitionRecord, **seconds: float) -> None:
        for _ in range(self._times if record.sequence % 100 == 0 else 1):
            self._inner.transition_made(record, **seconds)


def misses_transitions(monitoring: IMonitoringManager | None = None) -> StateManager:
    """Monitoring is not told of each hundredth."""
    return StateManager(monitoring=None if monitoring is None else _Deaf(monitoring, 0))


def tells_twice(monitoring: IMonitoringManager | None = None) -> StateManager:
    """Monitoring is told of each hundredth twice."""
    return StateManager(monitoring=None if monitoring is None else _Deaf(monitoring, 2))


class _LateStore(SQLiteStore):
    """Says that a transition is kept, and keeps it when ten are together."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._late: list[tuple[Sequence[TransitionRecord], Mapping[str, Sequence[PendingTimer]] | None]] = []
        self._one_by_one = Lock()

    def append(
        self, records: Sequence[TransitionRecord], timers: Mapping[str, Sequence[PendingTimer]] | None = None
    ) -> None:
        with self._one_by_one:
            self._late.append((records, timers))
            if len(self._late) >= 10:
                waiting, self._late = self._late, []
                for each in waiting:
                    super().append(*each)


class _HalfStore(SQLiteStore):
    """Keeps what moves together one after the other, with time between."""

    def append(
        self, records: Sequence[TransitionRecord], timers: Mapping[str, Sequence[PendingTimer]] | None = None
    ) -> None:
        for number, record in enumerate(records):
            if number:
                sleep(0.02)
            super().append([record], timers)


class _SlowStore(SQLiteStore):
    """Is slow to say what it has."""

    def machines(self) -> tuple[MachineRecord, ...]:
        sleep(0.12)
        return super().machines()


def acknowledges_early(path: Path) -> StateManager:
    """What was acknowledged is kept later."""
    return StateManager(store=_LateStore(path / "state.db"))


def keeps_halves(path: Path) -> StateManager:
    """A pair may be kept by half."""
    return StateManager(store=_HalfStore(path / "state.db"))


def opens_slowly(path: Path) -> StateManager:
    """It takes long to be ready."""
    return StateManager(store=_SlowStore(path / "state.db"))


class ForgetsAfterRecovery(StateManager):
    """After a restart the history begins anew: the store is not asked."""

    def recover(self, tables: Any) -> Any:
        machines = super().recover(tables)
        self._old = {machine.name: machine.sequence for machine in machines}
        return machines

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        old = getattr(self, "_old", {}).get(name, 0)
        return tuple(record for record in super().history(name, last) if record.sequence > old)


def forgets_after_recovery(path: Path | None = None, kept: int = 100_000) -> StateManager:
    """Whose history is lost with the process."""
    store = None if path is None else SQLiteStore(path / "state.db", history_rows=kept, history_bytes=10**9)
    return ForgetsAfterRecovery(store=store, history_count=kept, history_bytes=10**9)
