"""What threads work on: what they reach by what they were started with.

A forked child has none of its parent's other threads. What they would empty there, a queue or a table of sessions,
only grows.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

_DEPTH = 6  # thread, target, object, its dict, queue, its dict
_MOST = 3000  # objects of one thread
_MOST_OF_ONE = 200  # what a large container holds are its entries, not what the thread works on

# Reached by everybody, and emptied by nobody: a logger leads to all others (what listens for it does not).
_NOT_BEYOND = frozenset({"_pytest", "coresys", "pluggy", "pytest", "pytest_coresys", "unittest"})
_ATOMS = (str, bytes, int, float, complex, bool, type(None), type, types.ModuleType, types.CodeType, types.FrameType)


def in_hand(threads: Iterable[threading.Thread]) -> dict[int, str]:
    """Ids of the objects that threads reach, each with the name of one of them. Runs no code of anybody's."""
    namespaces = {id(vars(module)) for module in list(sys.modules.values()) if isinstance(module, types.ModuleType)}
    return {at: thread.name for thread in threads for at in (_reached(thread, namespaces) if thread.ident else ())}


def _reached(thread: threading.Thread, namespaces: set[int]) -> set[int]:
    seen = {id(thread)}
    queue: deque[tuple[Any, int]] = deque([(thread, 0)])
    run = vars(type(thread)).get("run")
    if isinstance(run, types.FunctionType):
        queue.append((types.MethodType(run, thread), 0))
    while queue and len(seen) < _MOST:
        thing, depth = queue.popleft()
        if depth >= _DEPTH or _leads_everywhere(type(thing)):
            continue
        for each in _next_to(thing):
            if id(each) not in seen and id(each) not in namespaces and not isinstance(each, _ATOMS):
                seen.add(id(each))
                queue.append((each, depth + 1))
    return seen


def _leads_everywhere(cls: type) -> bool:
    name = cls.__module__
    return isinstance(name, str) and (name == "logging" or name.partition(".")[0] in _NOT_BEYOND)


def _next_to(thing: Any) -> Iterator[Any]:
    if isinstance(thing, types.FunctionType):
        yield from _used_by(thing, ())
    elif isinstance(thing, types.MethodType):
        yield thing.__self__
        if isinstance(thing.__func__, types.FunctionType):
            yield from _used_by(thing.__func__, type(thing.__self__).__mro__)
    else:
        found = gc.get_referents(thing)
        yield from found if len(found) <= _MOST_OF_ONE else ()


def _used_by(function: types.FunctionType, classes: tuple[type, ...]) -> Iterator[Any]:
    """What a function's names may mean: globals, what it closes over, methods of its class."""
    yield from gc.get_referents(*(function.__closure__ or ()))
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield function.__globals__[name]
        method = next((vars(cls)[name] for cls in classes if name in vars(cls)), None)
        if isinstance(method, types.FunctionType):
            yield method


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
