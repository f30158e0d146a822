"""What each thread holds: the list that the order of locks is checked against.

Invariants:

- *The raw RLock inside a lock is the truth about who holds it*: the interpreter sets owner and lock in one step. What
  a thread's list says is a superset of what it holds: an entry is put there before its raw lock is taken, and nobody
  takes it out when the raw lock is let go. ``entry.owned()`` tells which are held; the others are dropped when the
  thread comes by again. So neither an exception out of nowhere nor a fork can leave a lock held that no list knows of.
- *Only the thread itself changes its list.* Others read it while that thread is blocked, and in a forked child.
- The list begins with ``BOTTOM``, so that it always has a last entry.

An entry that was let go stays in the list until its thread takes another ordered lock: at most what that thread held at
once, and an entry holds nothing of its user's.
"""

from __future__ import annotations

import os
import threading
from _thread import get_ident
from collections.abc import Callable
from functools import partial
from itertools import count
from types import CodeType
from typing import Any
from weakref import ref

from coresys.forks import call_in_children
from coresys.threads.ranks import Rank
from coresys.threads.sites import site


class Entry:
    """Something that a thread can hold in its list: a lock, or a thread's share in one that is read."""

    # Without a __dict__: ``acquired`` and its neighbours are written on the path that everybody waits for.
    __slots__ = ("__weakref__", "code", "group", "index", "name", "offset", "owned", "rank", "raw", "serial")

    name: str
    rank: Rank | None
    group: str | None  # of its rank; None: no order
    index: int
    serial: int
    raw: Any  # the RLock inside; another one after renew or close
    owned: Callable[[], bool]  # whether the calling thread holds it: the raw lock's own method
    code: CodeType | None  # where it was last acquired
    offset: int

    def __init__(self, name: str, rank: Rank | None, serial: int) -> None:
        self.name, self.rank, self.serial = name, rank, serial
        self.group = None if rank is None else rank.group
        self.index = -1 if rank is None else rank.index
        self.code, self.offset = None, 0

    def where(self) -> str | None:
        """Where it was last acquired, as ``file:line``."""
        return site(self.code, self.offset)

    def renew(self) -> None:
        """Make it free, whoever holds it: nobody will let it go any more."""

    def renew_in_child(self) -> None:
        """Make it free in a forked child, with all that a thread may hold while only this stands in its list."""
        self.renew()


class _Bottom(Entry):
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("", None, 0)
        self.raw = None
        self.owned = partial(bool, 1)  # whoever goes down the list ends here


BOTTOM: Entry = _Bottom()


class Holder:
    """A thread as the locks know it: its list, and what it waits for (written under ``waits.lock``)."""

    __slots__ = ("__weakref__", "held", "ident", "patient", "turn", "waiting")

    def __init__(self) -> None:
        self.ident = get_ident()
        self.held: list[Entry] = [BOTTOM]
        self.waiting: Entry | None = None
        self.patient = True  # False: this wait ends by itself, by a timeout that somebody asked for
        self.turn = 0  # the number of its waits

    def holds(self) -> list[Entry]:
        """What it holds now. Of the calling thread only."""
        return [entry for entry in self.held[1:] if entry.owned()]


class _Life:
    """Dies with its thread."""

    __slots__ = ("__weakref__",)


class Here(threading.local):
    """The calling thread's list; ``held`` on its own, for it is asked for at every acquisition."""

    def __init__(self) -> None:
        self.me = Holder()
        self.held = self.me.held
        self._life = _Life()
        _remember(self.me, self._life)


_holders: dict[int, tuple[Holder, ref[_Life]]] = {}  # by number; all of them, for forked children
_numbers = count()  # next() on it is one step of the interpreter
_process = os.getpid()


def _remember(holder: Holder, life: _Life) -> None:
    number = next(_numbers)

    def forget(_: object) -> None:
        # In a forked child the other threads' lives end before our hook runs, and it has to know what they held.
        if os.getpid() == _process:
            _holders.pop(number, None)

    _holders[number] = (holder, ref(life, forget))


here = Here()


def thread_name(ident: int) -> str:
    """The name of a running thread, or its number where threading does not know it."""
    for thread in threading.enumerate():
        if thread.ident == ident:
            return thread.name
    return f"thread {ident}"


@call_in_children
def _forget_other_threads() -> None:
    """In a forked child: every lock that anybody held or was about to take is free; only this thread is left."""
    global _process
    for number, (holder, life) in list(_holders.items()):
        for entry in holder.held[1:]:
            entry.renew_in_child()
        del holder.held[1:]
        holder.waiting = None
        if life() is None:
            del _holders[number]
    _process = os.getpid()


__all__ = ["BOTTOM", "Entry", "Holder", "here", "thread_name"]
