"""The faults, by manager. Each is one that people make: an update lost, a limit off by one, an error swallowed."""

from __future__ import annotations

from validation_suites.mutants.machine import Mutant

STATE = (
    Mutant(
        "state: a machine that is defined is not listed, now and then",
        "state/manager.py",
        "    def names(self) -> tuple[str, ...]:",
        "    def names(self) -> tuple[str, ...]:\n        return ()\n\n    def _names(self) -> tuple[str, ...]:",
        ("state",),
    ),
)

MUTANTS: tuple[Mutant, ...] = (*STATE,)
