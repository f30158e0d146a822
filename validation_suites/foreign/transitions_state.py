"""State: machines of the package ``transitions`` (extra ``bench``), one model and one machine for each name.

It decides which event leads where. It numbers nothing and remembers nothing, so that a list of what was made is kept
by its own callback after a change, as its users do; it has no lock (its LockedMachine is another class), no rollback,
no transaction over several machines, and no store.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from coresys.errors.hierarchy import DuplicateMachineError, TransitionRefusedError, UnknownMachineError
from coresys.system_records import MachineRecord, StateDefinition, StateStatistics, TransitionRecord

if TYPE_CHECKING:
    from coresys.interfaces import IMonitoringManager, IStateManager


class _Model:
    """What a machine of ``transitions`` hangs its state and its events on."""

    state: str

    def __init__(self, name: str, table: str) -> None:
        self.name, self.table = name, table
        self.made: list[TransitionRecord] = []

    def note(self, event: Any) -> None:
        """Called by the machine after a change."""
        given = event.kwargs
        self.made.append(
            TransitionRecord(
                self.name,
                self.table,
                len(self.made) + 1,
                time.time(),
                event.event.name,
                event.transition.source,
                self.state,
                given.get("cause"),
                given.get("actor"),
            )
        )


class TransitionsStates:
    """Machines of ``transitions`` by name."""

    def __init__(self, monitoring: IMonitoringManager | None = None) -> None:
        package = importlib.import_module("transitions")
        self._machine: Any = package.Machine
        self._error: type[Exception] = package.MachineError
        self._monitoring = monitoring
        self._models: dict[str, Any] = {}

    def define(self, name: str, definition: StateDefinition) -> None:
        """A model with a machine."""
        if name in self._models:
            raise DuplicateMachineError(machine=name, where="a dictionary")
        model = _Model(name, definition.name)
        self._machine(
            model,
            states=list(definition.states),
            initial=definition.initial,
            transitions=[list(each) for each in definition.transitions],
            auto_transitions=False,
            send_event=True,
            after_state_change="note",
        )
        self._models[name] = model

    def names(self) -> tuple[str, ...]:
        """Those in the dictionary."""
        return tuple(self._models)

    def _model(self, name: str) -> Any:
        try:
            return self._models[name]
        except KeyError:
            raise UnknownMachineError(machine=name) from None

    def state(self, name: str) -> str:
        """The model's."""
        return str(self._model(name).state)

    def describe(self, name: str) -> MachineRecord:
        """The model's state, and the last of what was made."""
        model = self._model(name)
        last = model.made[-1] if model.made else None
        since = 0.0 if last is None else last.time
        return MachineRecord(name, model.table, model.state, len(model.made), since, last)

    def fire(
        self, name: str, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> TransitionRecord | None:
        """``model.trigger(event)``."""
        model = self._model(name)
        source, began = model.state, time.perf_counter()
        try:
            model.trigger(event, payload=payload, cause=cause, actor=actor)
        except (self._error, AttributeError) as error:  # AttributeError: no machine has an event of that name
            raise TransitionRefusedError(
                machine=name, state=source, event=event, reason=str(error), allowed=()
            ) from error
        record: TransitionRecord = model.made[-1]
        if self._monitoring is not None:
            self._monitoring.transition_made(record, seconds=time.perf_counter() - began, seconds_in_source=0.0)
        return record

    def fire_all(
        self,
        events: Mapping[str, str],
        payloads: Mapping[str, Any] | None = None,
        *,
        cause: str | None = None,
        actor: str | None = None,
    ) -> tuple[TransitionRecord, ...]:
        """One after the other: there is no other way."""
        given = payloads or {}
        made = [self.fire(name, event, given.get(name), cause=cause, actor=actor) for name, event in events.items()]
        return tuple(record for record in made if record is not None)

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        """The list that the callback kept."""
        made: list[TransitionRecord] = self._model(name).made
        return tuple(made if last is None else made[max(0, len(made) - last) :])

    def rollback(
        self,
        name: str,
        steps: int | None = None,
        *,
        to_sequence: int | None = None,
        to_snapshot: str | None = None,
        cause: str | None = None,
        actor: str | None = None,
    ) -> str:
        """It has none."""
        raise NotImplementedError("transitions has no rollback")

    def snapshot(self, name: str, label: str) -> int:
        """It has none."""
        raise NotImplementedError("transitions has no snapshots")

    def release(self, name: str) -> None:
        """Out of the dictionary."""
        self._model(name)
        del self._models[name]

    def statistics(self) -> StateStatistics:
        """What the dictionary says; refusals are not counted."""
        models = list(self._models.values())
        return StateStatistics(len(models), sum(len(model.made) for model in models), 0, 0)


def make(monitoring: IMonitoringManager | None = None) -> TransitionsStates:
    """The subject."""
    return TransitionsStates(monitoring)


if TYPE_CHECKING:
    _check: type[IStateManager] = TransitionsStates
