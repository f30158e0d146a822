"""Waits for locks in a block of code, for ``coresys.budget(locks_wait=...)``."""

from __future__ import annotations

from collections.abc import Callable

from coresys.budgets import context
from coresys.threads.watching.ledger import close_ledger, open_ledger
from coresys.threads.watching.words import part_of_contention


def _waits() -> Callable[[], tuple[float, tuple[str, ...]]]:
    ledger = open_ledger()

    def longest() -> tuple[float, tuple[str, ...]]:
        close_ledger(ledger)
        # A wait that goes on counts for as long as it has lasted: the block has kept it waiting.
        worst = max(ledger.read(so_far=True), key=lambda each: each.longest, default=None)
        if worst is None:
            return 0.0, ()
        told = part_of_contention(worst)
        return worst.longest, (*told.details, *map(str, told.where))

    return longest


def install() -> None:
    """Blocks can have a budget for the waits for locks from now on."""
    context.lock_waits.append(_waits)


def uninstall() -> None:
    """They can't any more."""
    context.lock_waits.remove(_waits)


__all__ = ["install", "uninstall"]
