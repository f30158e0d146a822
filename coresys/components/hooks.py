"""Validation hooks: who is asked before a change, and what becomes of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock

from coresys.components.telling import in_short
from coresys.errors.hierarchy import ChangeRefusedError
from coresys.forks import free_lock, renew_in_children


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """A change that is about to be made. ``action`` is register, start, stop or restart; ``cause`` what the caller of a
    restart gave."""

    component: str
    action: str
    cause: str | None = None


Hook = Callable[[ComponentChange], object]


class Hooks:
    """Hooks in the order they came. Called without a lock; what is added meanwhile is asked from the next change on."""

    def __init__(self) -> None:
        self._lock = RLock()  # of the tuple, which is replaced and never changed
        renew_in_children(self, free_lock)
        self._hooks: tuple[tuple[object, str, Hook], ...] = ()

    def add(self, hook: Hook, name: str | None) -> Callable[[], None]:
        """Ask it from now on; returns what ends that."""
        mine = object()
        named = name or getattr(hook, "__qualname__", None) or repr(hook)
        with self._lock:
            self._hooks = (*self._hooks, (mine, named, hook))

        def remove() -> None:
            with self._lock:
                self._hooks = tuple(each for each in self._hooks if each[0] is not mine)

        return remove

    def ask(self, change: ComponentChange) -> None:
        """Ask all. Raises ChangeRefusedError at the first that refuses: by a text that says why, or by raising."""
        for _, named, hook in self._hooks:
            try:
                reason = hook(change)
            except Exception as error:
                raise _refused(change, named, in_short(error)) from error
            if isinstance(reason, bool):
                raise _refused(change, named, f"it returned {reason}, where None agrees and a text refuses")
            if reason is not None:
                raise _refused(change, named, str(reason))


def _refused(change: ComponentChange, hook: str, reason: str) -> ChangeRefusedError:
    return ChangeRefusedError(component=change.component, action=change.action, hook=hook, reason=reason)


__all__ = ["ComponentChange", "Hook", "Hooks"]
