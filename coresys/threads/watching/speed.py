"""The methods of watched locks in C, where they were built: a fifth of the time, and nothing else differs.

``_fast.c`` has what ``locks`` does in Python at each acquisition and release. It stores nothing of its own, so that the
methods can be changed at any time, also of locks that are held. Without a compiler at installation, on another
interpreter, or with ``CORESYS_PURE_LOCKS=1`` in the environment the methods in Python stay.
"""

from __future__ import annotations

import os
import sys
from _thread import _local
from types import FrameType
from typing import Any

from coresys.threads.watching import chains, makers, waits
from coresys.threads.watching.raw import LockType, RLockType

__tracebackhide__ = True  # of a failure, pytest shows what the user wrote
_in_python: list[tuple[type[Any], dict[str, Any]]] = []
_in_c: list[tuple[type[Any], dict[str, Any]]] = []
_why_not = "nobody has asked"
_ALSO = {"acquire": "acquire_lock", "release": "release_lock"}  # older names of a Lock's


def offer(lock: type[Any], inner_lock: type[Any], rlock: type[Any], inner_rlock: type[Any]) -> None:
    """Use the methods in C for these classes, where there are any and nobody has said that they are not wanted."""
    global _why_not
    if os.environ.get("CORESYS_PURE_LOCKS", "0") not in ("", "0"):
        _why_not = "CORESYS_PURE_LOCKS is set"
        return
    if not issubclass(chains.Here, _local):
        _why_not = "threading.local is not the interpreter's"  # gevent's: several at a time in a thread
        return
    try:
        from coresys.threads.watching import _fast

        if not _reads_frames(_fast):
            _why_not = "this interpreter keeps its frames in another way"
            return
        methods = _fast.prepare(
            (lock, inner_lock, rlock, inner_rlock, LockType, RLockType),
            (chains.Chain, chains.Party, chains.Ident),
            (chains.learn, chains.leave, makers.outside, makers.whose, _blocked, _asked),
            (chains.MUTE, vars(chains), chains.here, makers._kinds, makers.USER),
        )
    except ImportError:
        _why_not = "no extension was built at installation"
        return
    except (RuntimeError, TypeError) as error:
        _why_not = f"this interpreter is not as the extension knows it ({error})"
        return
    _why_not = ""
    for cls, found in zip((lock, inner_lock, rlock, inner_rlock), methods, strict=True):
        found.update({other: found[name] for name, other in _ALSO.items() if other in vars(cls)})
        # What a class has from its base it gets with that one; but a place, which __enter__ asks for, is its own.
        own = {name: method for name, method in found.items() if name in vars(cls)}
        _in_c.append((cls, own))
        _in_python.append((cls, {name: vars(cls)[name] for name in own}))
    use_c()


def built() -> bool:
    """Whether there are methods in C that can be used."""
    return bool(_in_c)


def why_not() -> str:
    """Why there are none; empty where there are."""
    return _why_not


def in_use() -> bool:
    """Whether watched locks are taken and let go by methods in C."""
    return any(vars(cls)["__enter__"] is methods["__enter__"] for cls, methods in _in_c)


def use_c() -> None:
    """Take and let go by the methods in C; where there are none nothing changes."""
    _set(_in_c)


def use_python() -> None:
    """Take and let go by the methods in Python."""
    _set(_in_python)


def _set(methods: list[tuple[type[Any], dict[str, Any]]]) -> None:
    for cls, found in methods:
        for name, method in found.items():
            setattr(cls, name, method)


def _blocked(lock: Any, got: list[bool]) -> None:
    # A frame stands here between the one that takes the lock and ``waits``, as that of the method in Python does.
    waits.block_telling(lock, got)


def _asked(lock: Any, blocking: Any, timeout: Any) -> bool:
    return waits.asked(lock, blocking, timeout)


def _reads_frames(fast: Any) -> bool:
    """Whether the frames are where the C code takes them to be: it knows how this interpreter keeps them."""
    seen = fast.frames()
    frame: FrameType | None = sys._getframe()
    expected = []
    while frame is not None:
        expected.append((frame.f_code, frame.f_lasti, frame.f_globals))
        frame = frame.f_back
    # Where the innermost frame stands differs: it has gone on since.
    return len(seen) == len(expected) and all(
        one[0] is other[0] and one[2] is other[2] and (one[1] == other[1] or at == 0)
        for at, (one, other) in enumerate(zip(seen, expected, strict=True))
    )


__all__ = ["built", "in_use", "offer", "use_c", "use_python", "why_not"]
