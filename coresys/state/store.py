"""Where transitions are kept beyond the life of a process: the protocol that any store fulfils."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from coresys.system_records import MachineRecord, PendingTimer, TransitionRecord

# What survives what. ``memory``: nothing does. ``process``: what was acknowledged survives the death of the process,
# ``kill -9`` included. ``power``: it survives the loss of power too, if the disk tells the truth about its cache.
Durability = Literal["memory", "process", "power"]


class StateStore(Protocol):
    """Keeps machines and their transitions. Methods may be called from any thread, several at a time.

    An implementation must guarantee: when a method returns, what it was given is as durable as ``durability`` says;
    when it raises, nothing of it was kept. Errors are StoreError, or StoreConflictError.
    """

    @property
    def durability(self) -> Durability:
        """What survives what."""

    def create(self, machine: MachineRecord) -> None:
        """Keep a new machine. Raises DuplicateMachineError where one of that name is kept already."""

    def append(
        self, records: Sequence[TransitionRecord], timers: Mapping[str, Sequence[PendingTimer]] | None = None
    ) -> None:
        """Keep transitions, all or none, with the state that each leads to.

        ``timers`` has all that are armed then, for machines whose timers changed. Raises StoreConflictError where a
        record does not follow on the last one that is kept of its machine.
        """

    def snapshot(self, machine: str, label: str, state: str, sequence: int) -> None:
        """Keep a named snapshot; a label that exists is written anew.

        Raises StoreConflictError where ``sequence`` is not that of the last transition that is kept.
        """

    def drop_snapshot(self, machine: str, label: str, sequence: int) -> None:
        """Keep a snapshot no longer. One that is not kept is dropped already.

        Raises StoreConflictError where ``sequence`` is not that of the last transition that is kept.
        """

    def machines(self) -> tuple[MachineRecord, ...]:
        """All machines that are kept, in time that does not grow with their history."""

    def history(self, machine: str, *, last: int) -> tuple[TransitionRecord, ...]:
        """The last transitions of a machine that are still kept, oldest first."""

    def forget(self, machine: str, sequence: int) -> None:
        """Keep a machine, its history, timers and snapshots no longer. One that is not kept is forgotten already.

        Raises StoreConflictError where ``sequence`` is not that of the last transition that is kept.
        """

    def close(self) -> None:
        """Give back what is held open. May be called twice."""
