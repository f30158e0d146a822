"""Data that may be touched only by whoever holds its lock; checked while Python is not optimised (``-O``)."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar, overload

T = TypeVar("T")


class Guard(Protocol):
    """A lock that knows its holder.

    One that may be held for looking only, as a ReadWriteLock, has ``assert_writing`` too.
    """

    def assert_held(self) -> None:
        """Raise LockOwnershipError unless the calling thread holds it."""


def _assert_may_change(lock: Any) -> None:
    getattr(lock, "assert_writing", lock.assert_held)()


class Guarded(Generic[T]):
    """A value and the lock that it belongs to.

    >>> from coresys.threads import Guarded, OrderedLock
    >>> lock = OrderedLock(name="orders")
    >>> orders = Guarded(lock, {"a": 1})
    >>> with lock:
    ...     orders.value["a"]
    1
    >>> orders.value  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    coresys.errors.hierarchy.LockOwnershipError: access needs lock 'orders', which MainThread does not hold; ...

    The lock is any of this package, also a condition. Who reads a ReadWriteLock may get the value, who writes may set
    it too. What was taken out is not watched: neither ``orders.value`` kept beyond the lock, nor a reader's changes.
    """

    __slots__ = ("_lock", "_value")

    def __init__(self, lock: Guard, value: T) -> None:
        self._lock, self._value = lock, value

    @property
    def value(self) -> T:
        """The value; raises LockOwnershipError where its lock is not held."""
        if __debug__:
            self._lock.assert_held()
        return self._value

    @value.setter
    def value(self, value: T) -> None:
        if __debug__:
            _assert_may_change(self._lock)
        self._value = value

    def __repr__(self) -> str:
        return f"<Guarded by {self._lock!r}>"  # without the value, which may be changing


class guarded_by(Generic[T]):  # read as a declaration: ``orders = guarded_by("_lock")``
    """An attribute that may be read, set and deleted only while ``self.<lock>`` is held by the calling thread.

    The first assignment is free, for ``__init__`` needs no lock. The value is kept in the instance's ``__dict__``.
    """

    def __init__(self, lock: str) -> None:
        self._lock = lock
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> guarded_by[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        if __debug__:
            getattr(instance, self._lock).assert_held()
        try:
            return vars(instance)[self._name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}") from None

    def __set__(self, instance: Any, value: T) -> None:
        if __debug__ and self._name in vars(instance):
            _assert_may_change(getattr(instance, self._lock))
        vars(instance)[self._name] = value

    def __delete__(self, instance: Any) -> None:
        if __debug__:
            _assert_may_change(getattr(instance, self._lock))
        del vars(instance)[self._name]


__all__ = ["Guard", "Guarded", "guarded_by"]
