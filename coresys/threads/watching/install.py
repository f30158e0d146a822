"""Put the watching locks in the place of the interpreter's, and take them away again."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from coresys.threads.watching import aio, blocks, deadlocks, makers, tokens, waits
from coresys.threads.watching.locks import InnerRLock, Lock, RLock
from coresys.threads.watching.raw import LockType, RLockType, allocate_lock, replaced, threading_lock, threading_rlock

_FACTORIES = {id(threading_lock): Lock, id(threading_rlock): RLock}
_installed = 0
_replaced: list[tuple[Any, str, Any, Any]] = []  # module or class, name, what was there, what is there now


def install() -> None:
    """Watch every lock that is made from now on, and those that modules of users, and logging, have made already.

    May be called again; the last ``uninstall`` takes everything back. Nothing is watched where gevent or the like has
    put threads of its own in the place of the interpreter's.
    """
    global _installed
    _installed += 1
    if _installed > 1 or replaced():
        return
    _put_in_place()


def _put_in_place() -> None:
    _replace(threading, "Lock", Lock)
    _replace(threading, "RLock", RLock)
    older: dict[int, list[tuple[Any, str, str]]] = {}  # by the raw lock: where it stands, and how it is called
    for owner, prefix in _owners():
        for name, value in list(vars(owner).items()):
            if id(value) in _FACTORIES:
                _replace(owner, name, _FACTORIES[id(value)])
            elif type(value) is LockType or type(value) is RLockType:
                older.setdefault(id(value), []).append((owner, name, f"{prefix}.{name}"))
            value = None
    for names in older.values():
        _watch_older(names)
    for module in _users():
        aio.adopt(module)
    _watch_logging()
    _replace(threading, "_allocate_lock", waits.make_waiter)
    tokens.install(_replace)
    deadlocks.install(_replace)
    blocks.install()
    aio.install(_replace)


def uninstall() -> None:
    """Take back what ``install`` has put in place. Locks that were made meanwhile go on as they are."""
    global _installed
    _installed -= 1
    if _installed or not _replaced:
        return
    blocks.uninstall()
    deadlocks.uninstall()
    tokens.uninstall()
    while _replaced:
        owner, name, before, now = _replaced.pop()
        if vars(owner).get(name) is now:  # else somebody has put another one there
            setattr(owner, name, before)


@contextmanager
def unwatched() -> Iterator[None]:
    """Make locks as the interpreter does, in a block: what is timed there is nobody's watching."""
    times = _installed
    for _ in range(times):
        uninstall()
    try:
        yield
    finally:
        for _ in range(times):
            install()


def installed() -> bool:
    """Whether locks are being watched."""
    return bool(_replaced) and not replaced()


def installed_times() -> int:
    """How many have asked for it, and not taken it back."""
    return _installed


def _replace(owner: Any, name: str, new: Any) -> None:
    before = vars(owner)[name]
    try:
        setattr(owner, name, new)
    except (AttributeError, TypeError):  # a class whose metaclass allows none to be set: its lock is not watched
        return
    _replaced.append((owner, name, before, new))


def _owners() -> Iterator[tuple[Any, str]]:
    """What may hold a user's locks under a name, modules and the classes in them, and how it is called."""
    for module in _users():
        yield module, module.__name__
        for value in list(vars(module).values()):
            # Told by its type: isinstance() would ask a user's lazy object what it stands for.
            if issubclass(type(value), type) and vars(value).get("__module__") == module.__name__:
                yield value, f"{module.__name__}.{value.__qualname__}"


def _users() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if type(module) is ModuleType and makers.kind_of(name) is makers.USER:
            yield module


def _watch_older(names: list[tuple[Any, str, str]]) -> None:
    """Put a watching lock around one that was made already, under all its names: two names of one lock stay one lock.

    Not where something else has it too, a Condition or an object: that would go on to take the raw one and let it go,
    and whoever holds it would be told wrong.
    """
    owner, name, called = names[0]
    if _references(vars(owner), name) > len(names):
        return
    lock = vars(owner)[name]
    watched: Any = None
    if type(lock) is LockType and not lock.locked():
        watched = Lock._around(lock, (None, 0), called)
    elif type(lock) is RLockType and _free(lock):
        watched = RLock._around(lock, (None, 0), called)
    if watched is not None:
        for owner, name, _ in names:
            _replace(owner, name, watched)


def _references(names: Mapping[str, Any], name: str) -> int:
    """How many others refer to what a name stands for, that name included."""
    thing = names.get(name)
    return sys.getrefcount(thing) - _OWN


_OWN = 0
_OWN = _references({"lock": allocate_lock()}, "lock") - 1  # by the function itself, which depends on the interpreter


def _free(lock: Any) -> bool:
    return "owner=0 " in repr(lock)


def _watch_logging() -> None:
    """The lock of the module, which is older than any plugin: deadlocks were published that run through it."""
    lock = vars(logging).get("_lock")
    if type(lock) is RLockType and _free(lock):
        _replace(logging, "_lock", InnerRLock._around(lock, (None, 0), "logging._lock"))


__all__ = ["install", "installed", "installed_times", "uninstall", "unwatched"]
