"""What interfaces are, and whether an object has what one asks for."""

from __future__ import annotations

import inspect
from typing import Any


def members(interface: Any) -> tuple[str, ...] | None:
    """The public names that an interface asks for; None for what is no interface: no Protocol, no abstract class.

    >>> from typing import Protocol
    >>> class Database(Protocol):
    ...     url: str
    ...     def query(self, text: str) -> list[str]: ...
    >>> members(Database), members(dict)
    (('query', 'url'), None)
    """
    if not isinstance(interface, type):
        return None
    if not (getattr(interface, "_is_protocol", False) or inspect.isabstract(interface)):
        return None
    found: set[str] = set()
    for base in interface.__mro__:
        if base is object or base.__module__ in ("typing", "typing_extensions"):
            continue
        found |= {*vars(base), *vars(base).get("__annotations__", ())}
    return tuple(sorted(name for name in found if _is_asked_for(name)))


def _is_asked_for(name: str) -> bool:
    if name.startswith("__") and name.endswith("__"):
        return name in ("__call__", "__iter__", "__len__", "__getitem__", "__contains__", "__enter__", "__exit__")
    return not name.startswith("_")


def lacking(interface: Any, provided: object) -> str | None:
    """What keeps an object from being of an interface, in words; None where nothing does."""
    asked = members(interface)
    if asked is None:
        return "it is neither a Protocol nor an abstract class"
    missing = [name for name in asked if not _has(provided, name)]
    if missing:
        return f"{type(provided).__name__} has no {', '.join(missing)}"
    return None


def _has(provided: object, name: str) -> bool:
    """Whether it has an attribute, without reading it where that would run a property."""
    return inspect.getattr_static(provided, name, _NOTHING) is not _NOTHING or hasattr(provided, name)


_NOTHING = object()


def named(interface: Any) -> str:
    """What to call an interface."""
    return getattr(interface, "__qualname__", None) or repr(interface)


__all__ = ["lacking", "members", "named"]
