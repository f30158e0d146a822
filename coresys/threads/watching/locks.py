"""Locks that tell the watch in which order they are taken, and else behave as the interpreter's own.

``Lock`` and ``RLock`` stand in for ``threading.Lock`` and ``threading.RLock``: they hold one of the interpreter's, ask
it first whether it is free, and only a lock that is not free costs a clock. What a lock does when it is taken is
written out in each method, for a call more would be a third of the price; ``_taken`` says it once for the rest.

Invariants:

- *The raw lock is the truth*: it is taken before anything is noted, and let go after. So a thread that notes has it.
- *``_me`` is written by the holder only*, and reset before the raw lock is let go. Whoever reads there what it wrote
  itself holds the lock.
- The site is written into the ident by the holder only: ``code`` and ``offset`` are of one acquisition.
- *What raises while it is noted leaves the lock free, or let go*. The raw lock is let go right there, for a call in
  Python might be one too many for the stack.
"""

from __future__ import annotations

import copyreg
import pkgutil
import sys
import threading
import warnings
from types import FrameType
from typing import Any

from coresys.threads.watching import makers, speed, waits
from coresys.threads.watching.chains import Ident, Party, Place, here, learn, leave, lose
from coresys.threads.watching.raw import LockType, RLockType, allocate_lock, threading_rlock
from coresys.threads.watching.raw import RLock as make_rlock

__tracebackhide__ = True  # of a failure, pytest shows what the user wrote
_getframe = sys._getframe
_new = object.__new__


def _is_true(blocking: object) -> bool:
    """Whether it asks to wait, in another way than by True: some write 1. A float is refused by the raw lock."""
    return type(blocking) is int and blocking == 1


class _LikeRaw(type):
    """Makes the interpreter's own locks instances too: a program may have both."""

    _raw_type: type[Any]

    def __instancecheck__(cls, instance: object) -> bool:
        return issubclass(type(instance), cls) or type(instance) is cls._raw_type


def _refuse(cls: type[Any], like: str) -> None:
    """No class of a user's may be made of ours, for none can be made of what they stand for."""
    if not cls.__module__.startswith("coresys."):
        raise TypeError(f"type '{like}' is not an acceptable base type")


class Lock(metaclass=_LikeRaw):
    """As ``threading.Lock``."""

    __slots__ = ("__weakref__", "_ident", "_me", "_raw")
    _ident: Ident
    _me: Party | None
    _raw: Any

    def __init_subclass__(cls) -> None:
        _refuse(cls, "_thread.lock")

    def __new__(cls) -> Any:
        frame = _getframe(1)
        if makers.kind_of(frame.f_globals.get("__name__")) is not makers.USER:
            cls, made = makers.choose(cls, frame)
            return allocate_lock() if cls is None else cls._around(allocate_lock(), made)
        raw = allocate_lock()
        self = _new(cls)
        self._raw, self._me = raw, None
        self._ident = Ident("lock", (frame.f_code, frame.f_lasti))
        return self

    @classmethod
    def _around(cls, raw: Any, made: Place, name: str | None = None) -> Any:
        """One that watches a lock which is there."""
        self = _new(cls)
        self._raw, self._me = raw, None
        self._ident = Ident("lock", made, name)
        self._ident.inner = cls is InnerLock
        return self

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return LockType  # so that it is an instance of that

    def __enter__(self) -> bool:
        if not self._raw.acquire(False):
            waits.block(self)
        try:
            me = self._me = here.me
            frame, ident = _getframe(1), self._ident
            ident.code = frame.f_code
            ident.offset = frame.f_lasti
            chain = me.chain.get(ident)
            me.chain = learn(me, ident, makers.whose(frame)) if chain is None else chain
        except BaseException:
            self._me = None
            self._raw.release()
            raise
        return True

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        me = here.me
        try:
            if self._me is me:
                chain = me.chain
                if chain.ident is self._ident:
                    me.chain = chain.parent  # type: ignore[assignment]  # a chain with an ident has a parent
                else:
                    leave(me, self._ident)
                self._me = None
            else:
                self._handed_over()
        except BaseException:
            self._me = None
            me.lost.append(self._ident)  # if it is in the chain still
            self._raw.release()
            raise
        self._raw.release()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As of a ``threading.Lock``."""
        asked = (blocking is not True and not _is_true(blocking)) or timeout != -1
        if asked:
            if not waits.asked(self, blocking, timeout):
                return False
        elif not self._raw.acquire(False):
            waits.block(self)
        try:
            self._taken(_getframe(1), joined=asked)
        except BaseException:
            self._me = None
            self._raw.release()
            raise
        return True

    def release(self) -> None:
        """As of a ``threading.Lock``."""
        me = here.me
        try:
            if self._me is me:
                chain = me.chain
                if chain.ident is self._ident:
                    me.chain = chain.parent  # type: ignore[assignment]
                else:
                    leave(me, self._ident)
                self._me = None
            else:
                self._handed_over()
        except BaseException:
            self._me = None
            me.lost.append(self._ident)  # if it is in the chain still
            self._raw.release()
            raise
        self._raw.release()

    acquire_lock = acquire
    release_lock = release

    def locked(self) -> bool:
        """As of a ``threading.Lock``."""
        return self._raw.locked()  # type: ignore[no-any-return]

    locked_lock = locked

    def _taken(self, frame: FrameType | None, *, joined: bool = False) -> None:
        me = self._me = here.me
        ident = self._ident
        ident.code, ident.offset = self._place(frame)
        chain = None if joined else me.chain.get(ident)
        me.chain = learn(me, ident, makers.whose(frame), joined=joined) if chain is None else chain

    def _place(self, frame: FrameType | None) -> Place:
        return (None, 0) if frame is None else (frame.f_code, frame.f_lasti)

    def _handed_over(self) -> None:
        """It is let go by a thread that did not take it, or by nobody's: then the raw lock says so."""
        me, self._me = self._me, None
        if me is not None:
            self._ident.handed = True
            lose(me, self._ident)

    def __del__(self) -> None:
        if self._me is not None:  # nobody will ever let it go: it is in no order, and no gate
            lose(self._me, self._ident)

    def _at_fork_reinit(self) -> None:
        me, self._me = self._me, None
        if me is here.me:  # logging takes its locks before a fork, and in the child they are free, and never let go
            leave(me, self._ident)
        self._raw._at_fork_reinit()

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle '{type(self).__module__}.{type(self).__name__}' object")

    def __repr__(self) -> str:
        return _as_raw(self)


class RLock(metaclass=_LikeRaw):
    """As ``threading.RLock``."""

    __slots__ = ("__weakref__", "_again", "_ident", "_me", "_raw")
    _again: int  # how often its holder has taken it, beyond once
    _ident: Ident
    _me: Party | None
    _raw: Any

    def __init_subclass__(cls) -> None:
        _refuse(cls, "_thread.RLock")

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        frame = _getframe(1)
        if threading._CRLock is None:  # type: ignore[attr-defined]  # gevent has said so, and wants those in Python
            return threading_rlock(*args, **kwargs)
        if args or kwargs:
            _warn_of_arguments()
        raw = make_rlock(*args, **kwargs)
        if makers.kind_of(frame.f_globals.get("__name__")) is not makers.USER:
            cls, made = makers.choose(cls, frame)
            return raw if cls is None else cls._around(raw, made)
        return cls._around(raw, (frame.f_code, frame.f_lasti))

    @classmethod
    def _around(cls, raw: Any, made: Place, name: str | None = None) -> Any:
        """One that watches a lock which is there, and which nobody holds more than the watch will know."""
        self = _new(cls)
        self._raw, self._me, self._again = raw, None, 0
        self._ident = Ident("rlock", made, name)
        self._ident.inner = cls is InnerRLock
        return self

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return RLockType

    def __enter__(self) -> bool:
        me = here.me
        if not self._raw.acquire(False):
            waits.block(self)
        if self._me is me:
            self._again += 1
            return True
        self._me = me
        try:
            frame, ident = _getframe(1), self._ident
            ident.code = frame.f_code
            ident.offset = frame.f_lasti
            chain = me.chain.get(ident)
            me.chain = learn(me, ident, makers.whose(frame)) if chain is None else chain
        except BaseException:
            self._me = None
            self._raw.release()
            raise
        return True

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.release()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As of a ``threading.RLock``."""
        asked = (blocking is not True and not _is_true(blocking)) or timeout != -1
        if asked:
            if not waits.asked(self, blocking, timeout):
                return False
        elif not self._raw.acquire(False):
            waits.block(self)
        if self._me is here.me:
            self._again += 1
            return True
        try:
            self._taken(_getframe(1), joined=asked)
        except BaseException:
            self._me = None
            self._raw.release()
            raise
        return True

    def release(self) -> None:
        """As of a ``threading.RLock``."""
        me = here.me
        if self._me is me:
            if self._again:
                self._again -= 1
            else:
                chain = me.chain
                if chain.ident is self._ident:
                    me.chain = chain.parent  # type: ignore[assignment]
                else:
                    try:
                        leave(me, self._ident)
                    except BaseException:
                        self._me = None
                        me.lost.append(self._ident)  # if it is in the chain still
                        self._raw.release()
                        raise
                self._me = None
        self._raw.release()

    def _taken(self, frame: FrameType | None, *, joined: bool = False) -> None:
        me = self._me = here.me
        ident = self._ident
        ident.code, ident.offset = self._place(frame)
        chain = None if joined else me.chain.get(ident)
        me.chain = learn(me, ident, makers.whose(frame), joined=joined) if chain is None else chain

    def _place(self, frame: FrameType | None) -> Place:
        return (None, 0) if frame is None else (frame.f_code, frame.f_lasti)

    # What threading.Condition asks of a re-entrant lock. What is held, and the order, go along with it.

    def _is_owned(self) -> bool:
        return self._raw._is_owned()  # type: ignore[no-any-return]

    def _release_save(self) -> Any:
        again = self._again
        if self._me is here.me:
            leave(self._me, self._ident)
            self._again, self._me = 0, None
        return again, self._raw._release_save()

    def _acquire_restore(self, state: Any) -> None:
        """Take it again, as often as it was held; that is so whatever is raised, for who has waited for a condition
        lets it go. With a raw one no handler of a signal comes between. Only the watch's own DeadlockError, which ends
        the wait, is raised without it.
        """
        again, of_raw = state
        raw = self._raw
        try:
            waits.restore(self, of_raw)
        except BaseException as error:
            if "_coresys_told" not in error.__dict__:
                while raw._is_owned():
                    raw.release()
                raw._acquire_restore(of_raw)
            raise
        finally:
            if raw._is_owned():
                self._taken(_getframe(1))
                self._again = again

    def __del__(self) -> None:
        if self._me is not None:
            lose(self._me, self._ident)

    def _at_fork_reinit(self) -> None:
        me, self._me, self._again = self._me, None, 0
        if me is here.me:
            leave(me, self._ident)
        self._raw._at_fork_reinit()

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle '{type(self).__module__}.{type(self).__name__}' object")

    def __repr__(self) -> str:
        return _as_raw(self)

    if hasattr(RLockType, "_recursion_count"):  # 3.12, and later 3.11

        def _recursion_count(self) -> int:
            return self._raw._recursion_count()  # type: ignore[no-any-return]

    if hasattr(RLockType, "locked"):  # 3.14

        def locked(self) -> bool:
            """As of a ``threading.RLock``."""
            return self._raw.locked()  # type: ignore[no-any-return]


def _warn_of_arguments() -> None:
    """As ``threading.RLock`` says, which takes arguments, and makes nothing of them."""
    if sys.version_info >= (3, 13):
        text = "Passing arguments to RLock is deprecated and will be removed in 3.15"
        warnings.warn(text, DeprecationWarning, stacklevel=3)


def _as_raw(lock: Lock | RLock) -> str:
    raw = repr(lock._raw)
    return f"{raw.rpartition(' at ')[0]} at {id(lock):#x}>"


class InnerLock(Lock):
    """One that the standard library has made on behalf of a user: its places are the user's."""

    __slots__ = ()

    def __enter__(self) -> bool:
        if not self._raw.acquire(False):
            waits.block(self)
        try:
            self._taken(_getframe(1))
        except BaseException:
            self._me = None
            self._raw.release()
            raise
        return True

    def _place(self, frame: FrameType | None) -> Place:
        return makers.outside(frame)


class InnerRLock(RLock):
    """As ``InnerLock``, re-entrant."""

    __slots__ = ()

    def __enter__(self) -> bool:
        if not self._raw.acquire(False):
            waits.block(self)
        if self._me is here.me:
            self._again += 1
            return True
        try:
            self._taken(_getframe(1))
        except BaseException:
            self._me = None
            self._raw.release()
            raise
        return True

    def _place(self, frame: FrameType | None) -> Place:
        return makers.outside(frame)


def _by_name(cls: type[Any]) -> tuple[Any, ...]:
    """For pickle: what ``threading`` offers there, as of the raw ones. A manager of multiprocessing sends it."""
    return pkgutil.resolve_name, ("threading:RLock" if issubclass(cls, RLock) else "threading:Lock",)


Lock._raw_type, RLock._raw_type = LockType, RLockType
copyreg.pickle(_LikeRaw, _by_name)
makers.INNER.update({Lock: InnerLock, RLock: InnerRLock})
for _cls, _raw in ((Lock, LockType), (InnerLock, LockType), (RLock, RLockType), (InnerRLock, RLockType)):
    # Some code tells locks by the names of their types, and nobody can make more of those names than of the raw ones.
    _cls.__module__, _cls.__qualname__, _cls.__name__ = _raw.__module__, _raw.__qualname__, _raw.__name__
speed.offer(Lock, InnerLock, RLock, InnerRLock)  # __enter__, __exit__, acquire and release in C, where it was built

__all__ = ["InnerLock", "InnerRLock", "Lock", "RLock"]
