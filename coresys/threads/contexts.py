"""Contexts that keep their ``__exit__`` in the instance, for those who look it up on the type.

A ``with`` statement finds the type's descriptor, and gets from that the instance's own method: of a lock, the raw
lock's (see ``locks``). ``ExitStack`` asks for ``type(context).__exit__`` and calls it with the context, and the
descriptor of a slot cannot be called. What an attribute of a *type* is, its metaclass says, which ``with`` does not
ask: so the one gets a function, and the other pays nothing for it.

What is promised of exceptions out of nowhere ends where such a function begins: a stack has gaps of its own.
"""

from __future__ import annotations

from abc import ABCMeta
from sys import _getframe
from types import FrameType
from typing import TYPE_CHECKING, Any


class Context(ABCMeta):  # no plain type: a lock may have a base that is abstract
    """The type of types whose ``__enter__`` or ``__exit__`` is a slot or a property.

    A class that has ``enter_at(frame)`` beside its ``__enter__`` is entered by that from a stack, so that the place
    that errors name is the one where the stack was asked.
    """

    if not TYPE_CHECKING:  # to a type checker the classes have plain methods

        @property
        def __enter__(cls) -> Any:
            return _of_type(cls, "__enter__", _enter)

        @property
        def __exit__(cls) -> Any:
            return _of_type(cls, "__exit__", _leave)


def _of_type(cls: type, name: str, ours: Any) -> Any:
    for base in cls.__mro__:
        known = vars(base)
        if name in known:
            found = known[name]
            if (name == "__enter__" and "enter_at" in known) or hasattr(type(found), "__set__"):  # slots, properties
                return ours
            return found.__get__(None, cls) if hasattr(found, "__get__") else found
    raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")


def _enter(context: Any) -> Any:
    frame: FrameType = _getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") == "contextlib":
        frame = frame.f_back
    return context.enter_at(frame)


def _leave(context: Any, *exc: Any) -> Any:
    return context.__exit__(*exc)


__all__ = ["Context"]
