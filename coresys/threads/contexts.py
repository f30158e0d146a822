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
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    _Protocols = ABCMeta
else:  # no plain type: a lock of a user's may have a base that is abstract, or a Protocol
    _Protocols = type(Protocol)


class Context(_Protocols):
    """The type of types whose ``__enter__`` or ``__exit__`` is a slot or a property.

    A class that has ``enter_at(frame)`` beside its ``__enter__`` is entered by that from a stack, so that the place
    that errors name is the one where the stack was asked.
    """

    # Of protocols themselves it is asked otherwise; our classes are none.
    __instancecheck__ = ABCMeta.__instancecheck__
    __subclasscheck__ = ABCMeta.__subclasscheck__

    if not TYPE_CHECKING:  # to a type checker the classes have plain methods
        # No properties: whoever replaces the method of a class (a decorator, a test) sets it on the class.
        def __getattribute__(cls, name: str) -> Any:
            if name == "__enter__":
                return _of_type(cls, name, _enter)
            if name == "__exit__":
                return _of_type(cls, name, _leave)
            return super().__getattribute__(name)


def _of_type(cls: type, name: str, ours: Any) -> Any:
    for base in cls.__mro__:
        known = base.__dict__
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
