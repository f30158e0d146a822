"""Put the watching locks in the place of the interpreter's, and take them away again."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from coresys.threads.watching import aio, makers
from coresys.threads.watching.locks import InnerRLock, Lock, RLock
from coresys.threads.watching.raw import LockType, RLockType, threading_lock, threading_rlock

_FACTORIES = {id(threading_lock): Lock, id(threading_rlock): RLock}
_installed = 0
_replaced: list[tuple[Any, str, Any, Any]] = []  # module, name, what was there, what is there now


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
    for module in _users():
        for name, value in list(vars(module).items()):
            watched = _FACTORIES.get(id(value)) or _around(module, name, value)
            if watched is not None:
                _replace(module, name, watched)
        aio.adopt(module)
    _watch_logging()
    aio.install(_replace)


def uninstall() -> None:
    """Take back what ``install`` has put in place. Locks that were made meanwhile go on as they are."""
    global _installed
    _installed -= 1
    if _installed:
        return
    while _replaced:
        owner, name, before, now = _replaced.pop()
        if vars(owner).get(name) is now:  # else somebody has put another one there
            setattr(owner, name, before)


def installed() -> bool:
    """Whether locks are being watched."""
    return _installed > 0


def _replace(owner: Any, name: str, new: Any) -> None:
    """Of a module, or a class."""
    _replaced.append((owner, name, vars(owner)[name], new))
    setattr(owner, name, new)


def _users() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if type(module) is ModuleType and makers.kind_of(name) is makers.USER:
            yield module


def _around(module: ModuleType, name: str, value: Any) -> Any:
    """A watching lock around one that a module has made; None for what is none, or is held just now."""
    if type(value) is LockType and not value.locked():
        return Lock._around(value, (None, 0), f"{module.__name__}.{name}")
    if type(value) is RLockType and _free(value):
        return RLock._around(value, (None, 0), f"{module.__name__}.{name}")
    return None


def _free(lock: Any) -> bool:
    return "owner=0 " in repr(lock)


def _watch_logging() -> None:
    """The lock of the module, which is older than any plugin: deadlocks were published that run through it."""
    lock = vars(logging).get("_lock")
    if type(lock) is RLockType and _free(lock):
        _replace(logging, "_lock", InnerRLock._around(lock, (None, 0), "logging._lock"))


__all__ = ["install", "installed", "uninstall"]
