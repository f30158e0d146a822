"""What threads work on: what they reach by what they were started with.

A forked child has none of its parent's other threads. What they would empty there, a queue or a table of sessions,
only grows.
"""

from __future__ import annotations

import gc
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_DEPTH = 6  # thread, target, object, its dict, queue, its dict
_MOST = 3000  # objects of one thread
_MOST_OF_ONE = 200  # what a large container holds are its entries, not what the thread works on

# Reached by everybody, and emptied by nobody: a logger leads to all others (what listens for it does not).
_NOT_BEYOND = frozenset(
    {"_pytest", "coresys", "execnet", "pluggy", "pytest", "pytest_coresys", "pytest_timeout", "unittest", "xdist"}
)
_ATOMS = (str, bytes, int, float, complex, bool, type(None), types.CodeType, types.FrameType)
# By these, and not by attributes: code of the user's may stand in their place.
_mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_names_of_class: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__
_names_of_module: Callable[[Any], Mapping[str, Any]] = vars(types.ModuleType)["__dict__"].__get__
_ident: Callable[[threading.Thread], int | None] = threading.Thread.ident.fget  # type: ignore[attr-defined]
_name: Callable[[threading.Thread], str] = threading.Thread.name.fget  # type: ignore[attr-defined]


def in_hand(threads: Iterable[threading.Thread]) -> dict[int, str]:
    """Ids of the objects that threads reach, each with the name of one of them. Runs no code of anybody's."""
    return {at: _name(thread) for thread in threads if _ident(thread) for at in _reached(thread)}


def _reached(thread: threading.Thread) -> set[int]:
    seen = {id(thread)}
    queue: deque[tuple[Any, int]] = deque([(thread, 0)])
    run = _of_class("run", _mro(type(thread)))
    if isinstance(run, types.FunctionType):
        queue.append((types.MethodType(run, thread), 0))
    while queue and len(seen) < _MOST:
        thing, depth = queue.popleft()
        if depth >= _DEPTH:
            continue
        for each in _next_to(thing):
            if id(each) not in seen and not issubclass(type(each), _ATOMS) and not _leads_everywhere(type(each)):
                seen.add(id(each))
                queue.append((each, depth + 1))
    return seen


def _leads_everywhere(cls: type) -> bool:
    for each in _mro(cls):
        name = _names_of_class(each).get("__module__")
        if isinstance(name, str) and (name == "logging" or name.partition(".")[0] in _NOT_BEYOND):
            return True
    return False


def _next_to(thing: Any) -> Iterator[Any]:
    kind = type(thing)
    if kind is types.FunctionType:
        yield from _used_by(thing, None)
    elif kind is types.MethodType:
        yield thing.__self__
        if type(thing.__func__) is types.FunctionType:
            yield from _used_by(thing.__func__, thing.__self__)
    elif issubclass(kind, (type, types.ModuleType)):
        return  # everything is in one: of these only what is named is looked at
    else:
        found = gc.get_referents(thing)
        yield from found if len(found) <= _MOST_OF_ONE else ()


def _used_by(function: types.FunctionType, own: Any) -> Iterator[Any]:
    """What a function's names may mean: globals, what it closes over, what modules and classes among them have.

    ``own`` is the object, or the class, that it is a method of.
    """
    inside = gc.get_referents(*(function.__closure__ or ()))
    names = list(dict.fromkeys(_names(function.__code__)))
    inside += [function.__globals__[name] for name in names if name in function.__globals__]
    yield from inside
    for each in inside:
        if issubclass(type(each), types.ModuleType):
            has = _names_of_module(each)
            yield from (has[name] for name in names if name in has)
        elif issubclass(type(each), type):
            yield from _bound(names, _mro(each), each)
    if own is not None:
        yield from _bound(names, _mro(own) if issubclass(type(own), type) else _mro(type(own)), own)


def _bound(names: Iterable[str], classes: tuple[type, ...], own: Any) -> Iterator[Any]:
    for name in names:
        found = _of_class(name, classes)
        if isinstance(found, (staticmethod, classmethod)):
            found = found.__func__
        elif type(found) is property:
            found = found.fget
        if type(found) is types.FunctionType:
            yield types.MethodType(found, own)
        elif found is not None:
            yield found


def _of_class(name: str, classes: tuple[type, ...]) -> Any:
    return next((_names_of_class(cls)[name] for cls in classes if name in _names_of_class(cls)), None)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
