"""The interpreter's own primitives, bound before anything is watched: what the watch itself waits with."""

from __future__ import annotations

import _thread
import threading
from typing import Any

allocate_lock = _thread.allocate_lock
RLock = _thread.RLock
LockType: type[Any] = _thread.LockType
RLockType: type[Any] = type(_thread.RLock())

# What ``threading`` offers under these names: a function, or (Lock, from 3.13 on) the class itself.
threading_lock: Any = threading.Lock
threading_rlock: Any = threading.RLock


def replaced() -> bool:
    """Whether threads are none of the interpreter's any more (gevent, eventlet): what holds for those says nothing."""
    return getattr(threading.get_ident, "__module__", "") != "_thread" or threading.Thread.__module__ != "threading"


__all__ = ["LockType", "RLock", "RLockType", "allocate_lock", "replaced", "threading_lock", "threading_rlock"]
