"""What has to be made anew in a forked child: whoever held a lock in another thread is not there to let it go."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import RLock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
_owners: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def call_in_children(renew: Callable[[], None]) -> None:
    """Call ``renew`` in every child that is forked from now on; nothing where there is no fork."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=renew)


def renew_in_children(owner: T, renew: Callable[[T], None]) -> None:
    """Call ``renew`` with ``owner`` in every child, for as long as others keep it; ``renew`` may not keep it itself."""
    _owners[owner] = renew


def free_lock(owner: Any) -> None:
    """Give an owner a new re-entrant ``_lock``: a ``renew`` for those who have nothing else."""
    owner._lock = RLock()


@call_in_children
def _renew_all() -> None:
    failed: Exception | None = None
    for owner, renew in tuple(_owners.items()):
        try:
            renew(owner)
        except Exception as error:  # the others have to be renewed all the same
            failed = error
    if failed is not None:
        raise failed  # which the interpreter prints, and goes on
