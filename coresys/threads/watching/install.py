"""Put the watching locks in the place of the interpreter's, and take them away again."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from coresys.threads.watching import aio, blocks, deadlocks, makers, tokens, waits
from coresys.threads.watching.locks import InnerRLock, Lock, RLock
from coresys.threads.watching.raw import LockType, RLockType, threading_lock, threading_rlock

_FACTORIES = {id(threading_lock): Lock, id(threading_rlock): RLock}
_installed = 0
_replaced: list[tuple[Any, str, Any, Any]] = []  # module or class, name, what was there, what is there now


def install() -> None:
    """Watch every lock that is made from now on, and those that modules of users, and logging, have made already.

    May be called again; the last ``uninstall`` takes everything back.
    """
    global _installed
    _installed += 1
    if _installed > 1:
        return
    _replace(threading, "Lock", Lock)
    _replace(threading, "RLock", RLock)
    made: dict[int, Any] = {}
    for owner, prefix in _owners():
        for name, value in list(vars(owner).items()):
            watched = _FACTORIES.get(id(value)) or _around(value, f"{prefix}.{name}", made)
            if watched is not None:
                _replace(owner, name, watched)
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
    if _installed:
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
    return _installed > 0


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


def _around(value: Any, name: str, made: dict[int, Any]) -> Any:
    """A watching lock around one that was made already; None for what is none, or is held just now.

    ``made`` are those made so far, by the raw one: two names of one lock stay one lock.
    """
    if type(value) is LockType and not value.locked():
        return made.setdefault(id(value), Lock._around(value, (None, 0), name))
    if type(value) is RLockType and _free(value):
        return made.setdefault(id(value), RLock._around(value, (None, 0), name))
    return None


def _free(lock: Any) -> bool:
    return "owner=0 " in repr(lock)


def _watch_logging() -> None:
    """The lock of the module, which is older than any plugin: deadlocks were published that run through it."""
    lock = vars(logging).get("_lock")
    if type(lock) is RLockType and _free(lock):
        _replace(logging, "_lock", InnerRLock._around(lock, (None, 0), "logging._lock"))


__all__ = ["install", "installed", "installed_times", "uninstall", "unwatched"]
