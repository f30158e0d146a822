"""Values that change in one step, whatever other threads do.

Each has a raw lock of its own, so that nothing rests on which bytecodes happen to be atomic: the same on free-threaded
builds. A plain read is one load of one reference and takes no lock. The locks are leaves (``update`` alone calls the
caller's function, and says so), and a forked child gets fresh ones with the values as they were.
"""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar

from coresys.forks import free_lock, renew_in_children

T = TypeVar("T")


class _Atomic:
    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        # Re-entrant, for a signal handler may come by while its own thread has the lock, and would wait for itself. It
        # cannot come between reading and writing: there is no call in between, after which signals are looked for.
        self._lock = RLock()
        renew_in_children(self, free_lock)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be copied or pickled: it is shared by the threads of a process")


class AtomicCounter(_Atomic):
    """A whole number that is added to.

    >>> from coresys.threads import AtomicCounter
    >>> served = AtomicCounter()
    >>> served.add(), served.add(5), served.get()
    (1, 6, 6)
    """

    __slots__ = ("_value",)

    def __init__(self, value: int = 0) -> None:
        super().__init__()
        self._value = value

    def get(self) -> int:
        """Its value now."""
        return self._value

    def set(self, value: int) -> None:
        """Give it a value."""
        with self._lock:
            self._value = value

    def add(self, amount: int = 1) -> int:
        """Add, and return what it is after that."""
        with self._lock:
            value = self._value = self._value + amount
        return value

    def swap(self, value: int) -> int:
        """Give it a value, and return the one it had."""
        with self._lock:
            old, self._value = self._value, value
        return old

    def compare_and_set(self, expected: int, value: int) -> bool:
        """Give it a value if it equals ``expected``; whether it did."""
        with self._lock:
            if self._value != expected:
                return False
            self._value = value
        return True

    def __repr__(self) -> str:
        return f"AtomicCounter({self._value})"


class AtomicFlag(_Atomic):
    """A flag that only one thread finds unset."""

    __slots__ = ("_value",)

    def __init__(self, value: bool = False) -> None:
        super().__init__()
        self._value = value

    def get(self) -> bool:
        """Whether it is set."""
        return self._value

    def set(self) -> bool:
        """Set it; True for the one caller that found it unset."""
        return not self.swap(True)

    def clear(self) -> bool:
        """Unset it; True for the one caller that found it set."""
        return self.swap(False)

    def swap(self, value: bool) -> bool:
        """Give it a value, and return the one it had."""
        with self._lock:
            old, self._value = self._value, value
        return old

    def __bool__(self) -> bool:
        return self._value

    def __repr__(self) -> str:
        return f"AtomicFlag({self._value})"


class AtomicReference(_Atomic, Generic[T]):
    """A reference that is replaced in one step; compared by identity."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        super().__init__()
        self._value = value

    def get(self) -> T:
        """What it refers to now."""
        return self._value

    def set(self, value: T) -> None:
        """Let it refer to something else."""
        self.swap(value)

    def swap(self, value: T) -> T:
        """Let it refer to something else, and return what it referred to."""
        with self._lock:
            old, self._value = self._value, value
        return old

    def compare_and_set(self, expected: T, value: T) -> bool:
        """Let it refer to ``value`` if it refers to this very ``expected`` (``is``); whether it did."""
        with self._lock:
            if self._value is not expected:
                return False
            old, self._value = self._value, value
        del old  # outside the lock: what its finalizer does is not ours
        return True

    def update(self, function: Callable[[T], T]) -> T:
        """Let it refer to ``function(what it refers to)``, and return that.

        The function is called without the lock, and again where somebody else was faster: it may have no effects.
        """
        while True:
            old = self._value
            new = function(old)
            if self.compare_and_set(old, new):
                return new

    def __repr__(self) -> str:
        return f"AtomicReference({self._value!r})"


__all__ = ["AtomicCounter", "AtomicFlag", "AtomicReference"]
