"""What each thread holds, in its order: as a place in a tree of all orders that were seen.

A thread stands at a node of its tree, a ``Chain``: the locks from the root down to it are those that it holds, the
outermost first. To take a lock is to go down to the child of that lock, and to let it go is to go back up: one look
into a dictionary, where the order was seen before. Only where there is no such child something new was seen, and is
noted (``learn``). The order graph is read off those notes (``graph``); nothing is computed while a lock is taken.

Invariants:

- *Only the thread itself moves in its tree* (``Party.chain``). What another thread lets go for it (a ``Lock`` may be
  released by anybody) is put into ``Party.lost``, and taken out of the chain before the next note is made. So no note
  is made of a lock that its thread does not hold.
- *Nothing here is a lock's or a user's*: a tree holds ``Ident``s, which hold code objects and numbers. It keeps no
  lock alive.
- *Nothing here waits*, takes a lock, calls code of others, or logs: each step is one of the interpreter's, on an
  object that only this thread changes, or on a deque or dictionary that takes it whole. A signal handler or finalizer
  may come by between any two of them, take locks and let them go.

A *new leaf* (``renew``) makes every thread begin a tree of its own again, so that each test has what it did itself.
The threads that hold locks then go on in the old one until they have let them go.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from _thread import get_ident
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from inspect import CO_OPTIMIZED
from itertools import count
from types import CodeType
from typing import Any
from weakref import WeakValueDictionary, ref

from coresys.forks import call_in_children
from coresys.threads.watching.graph import TOKENS

Place = tuple["CodeType | None", int]  # a code object, and the offset of the instruction (``frame.f_lasti``)
_numbers = count(1)  # next() on it is one step of the interpreter


# By module, while it is imported: empty at almost any time, which is told in some nanoseconds.
_imported: dict[str, Any] = getattr(getattr(importlib, "_bootstrap", None), "_module_locks", {})


class Body:
    """A place in the body of a module, or of a class in one, and how many locks of one place that has made.

    Where it is one, that is the same in each process of the program: whoever imports the module makes it, there.
    """

    __slots__ = ("__weakref__", "count", "place")

    def __init__(self, place: Place) -> None:
        self.place, self.count = place, 0


# By the ids of code objects, which each Body keeps: one that is loaded anew makes locks of its own.
_bodies: WeakValueDictionary[tuple[int, int, int, int], Body] = WeakValueDictionary()


def _body_of(kind: str, made: Place) -> Body | None:
    """Of a lock that is being made at this place. None where no module is imported in this thread, and a function makes
    it; and of tokens: a queue has several, and a lock, at one place.
    """
    code, offset = made
    if code is None or kind in TOKENS:
        return None
    body = _imported_here() if code.co_flags & CO_OPTIMIZED else made
    if body is None:
        return None
    key = id(code), offset, id(body[0]), body[1]
    found = _bodies.get(key)
    if found is None:
        found = _bodies[key] = Body(body)
    found.count += 1
    return found


def _imported_here() -> Place | None:
    """Where the module stands that this thread imports, the innermost of them."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>" and getattr(frame.f_globals.get("__spec__"), "_initializing", False):
            return code, frame.f_lasti
        frame = frame.f_back
    return None


class Ident:
    """What a lock, or a token, is to the watch; remains in what was seen of it when the lock is gone.

    ``kind`` is "lock", "rlock", or what a token stands for ("thread", "future", "queue", ...). ``made`` is where it was
    made, ``body`` which line of a module has it made, when that was imported. ``code`` and ``offset`` say where it was
    taken last: written by whoever has just taken it.
    """

    __slots__ = (
        "__weakref__",
        "body",
        "code",
        "handed",
        "inner",
        "kind",
        "made",
        "name",
        "offset",
        "outside",
        "serial",
    )

    def __init__(self, kind: str, made: Place, name: str | None = None) -> None:
        self.serial = next(_numbers)  # never the number of an object, which another one may get later
        self.kind, self.made, self.name = kind, made, name
        code = made[0]
        in_function = not _imported and (code is None or code.co_flags & CO_OPTIMIZED)
        self.body = None if in_function else _body_of(kind, made)
        self.code: CodeType | None = None
        self.offset = 0
        self.handed = False  # whether it was ever let go by a thread that had not taken it: a signal, not a lock
        self.inner = False  # whether the standard library made it on behalf of a user
        self.outside: Place | None = None  # where it was taken first that is no finalizer of the collector's

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name or ''}#{self.serial}>"


class Permits(Ident):
    """A semaphore that lets in several at once, ``limit``: no node of the order graph, but a gate for so many."""

    __slots__ = ("limit",)

    def __init__(self, kind: str, made: Place, limit: int, name: str | None = None) -> None:
        super().__init__(kind, made, name)
        self.limit = limit


class Chain(dict["Ident", "Chain"]):
    """A node of a thread's tree: ``ident`` was taken last, all up to the root are held. Children by ident.

    ``joined`` are children that were not waited for: what was taken by a try or with a timeout, and what is held still
    after something before it was let go. They make no order, but what is taken below them does.
    """

    __slots__ = ("ident", "joined", "parent", "place")

    def __init__(self, ident: Ident | None, parent: Chain | None, place: Place = (None, 0)) -> None:
        self.ident, self.parent, self.place = ident, parent, place
        self.joined: dict[Ident, Chain] | None = None

    def held(self) -> list[Ident]:
        """What is held here, the innermost first."""
        found, chain = [], self
        while chain.ident is not None and chain.parent is not None:
            found.append(chain.ident)
            chain = chain.parent
        return found


class _Mute(Chain):
    """Where everybody stands while nothing is to be noted, and nothing may grow."""

    __slots__ = ()

    def get(self, ident: Ident, default: Any = None) -> Any:
        return self if muted else None


class Seen:
    """A note: a thread that held ``held`` (the innermost first), each taken at its place, went to take ``ident``.

    What ``ident`` stands for was waited for, or would have been had it not been free. ``leaf`` is the number of the
    leaf that it was noted on, ``thread`` the name of the thread, ``by`` its number among those that were ever watched.
    """

    __slots__ = ("by", "held", "ident", "leaf", "place", "places", "thread")

    def __init__(
        self,
        leaf: int,
        thread: str,
        held: tuple[Ident, ...],
        places: tuple[Place, ...],
        ident: Ident,
        place: Place,
        by: int = 0,
    ) -> None:
        self.leaf, self.thread, self.by = leaf, thread, by
        self.held, self.places, self.ident, self.place = held, places, ident, place


_MOST_ALIKE = 32  # threads, of which it is noted that they have taken the same in the same order


class Book:
    """All notes of one leaf. ``full``: there were more than are kept, so that what was not noted is not known.

    ``pending`` are those that make notes only when all of the leaf is known (``notes()``). ``known`` tells what was
    noted: a thread that begins a tree of its own for each piece of work comes by the same again. ``alike`` counts what
    differs in the thread only: those come and go by the thousand, and do the same.
    """

    __slots__ = ("alike", "full", "known", "leaf", "limit", "pending", "seen")

    def __init__(self, leaf: int = 0, limit: int = 20_000) -> None:
        self.leaf, self.limit, self.full = leaf, limit, False
        self.seen: deque[Seen] = deque()
        self.pending: deque[Any] = deque()
        self.known: set[object] = set()
        self.alike: dict[object, int] = {}

    def notes(self) -> list[Seen]:
        """All of them, those that were pending too."""
        return [*tuple(self.seen), *(note for each in tuple(self.pending) for note in each.notes())]

    def clear(self) -> None:
        """Drop them all."""
        self.seen.clear()
        self.pending.clear()
        self.known.clear()
        self.alike.clear()

    def add(self, seen: Seen, key: object) -> None:
        """Note it, unless that was done under the same key, or there are too many."""
        if key in self.known:
            return
        if len(self.seen) >= self.limit:
            self.full = True
            return
        self.known.add(key)
        self.seen.append(seen)


class Party:
    """A thread as the watch knows it: where it stands in its tree, and what it waits for.

    ``others`` are roots of this leaf that it began before the present one. ``over``: somebody knows that it has ended.
    ``aim`` is the future whose result it is about to wait for. ``collecting``: it is within the garbage collector.
    ``born`` is what was noted by ``arrived`` when it was seen first.
    """

    __slots__ = (
        "__weakref__",
        "aim",
        "born",
        "chain",
        "collecting",
        "leaf",
        "lost",
        "native",
        "number",
        "others",
        "over",
        "thread",
        "turn",
        "waiting",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.thread = get_ident()
        self.native = threading.get_native_id()  # its number at the system
        self.leaf = current
        self.chain: Chain = MUTE if muted else Chain(None, None)
        self.lost: deque[Ident] = deque()  # what others have let go for it
        self.waiting: Any = None  # what it waits for; of ``waits``
        self.turn = 0  # the number of its waits
        self.others: dict[int, Chain] = {}  # by id()
        self.over = self.collecting = False
        self.aim: Any = None
        self.born: Any = None

    @property
    def name(self) -> str:
        """The name of the thread, or its number where threading does not know it."""
        thread = threading._active.get(self.thread)  # type: ignore[attr-defined]
        return f"thread {self.thread}" if thread is None else str(thread.name)


class _Life:
    """Dies with its thread."""

    __slots__ = ("__weakref__",)


class _Asked:
    """Makes ``here.me`` where it is asked for within ``Here.__init__``, by a finalizer or a signal handler.

    It has no ``__set__``, so that what is in the thread's namespace comes first. A ``__getattr__`` would do as well,
    and make each look at ``here.me`` three times as dear.
    """

    def __get__(self, here: Any, _: object) -> Any:
        if here is None:
            return self
        Here.__init__(here)
        return here.__dict__["me"]


class Here(threading.local):
    """The calling thread: ``here.me``."""

    me: Party = _Asked()  # type: ignore[assignment]  # a Party by the time it is read

    def __init__(self) -> None:
        number = next(_numbers)
        made = Party(number)
        if "me" in self.__dict__:  # a finalizer has come by meanwhile, and the methods in C go on with that one
            return
        self.me = made
        self._life = _Life()
        for arrive in arrived:
            arrive(made)
        _parties[number] = made, ref(self._life, lambda _: _leave(number))
        thread = threading._active.get(made.thread) or _beginning()  # type: ignore[attr-defined]
        if thread is not None:
            # How whoever joins it finds what it took: lives as long as the thread's object, and costs others nothing.
            thread.__dict__["_coresys_party"] = made


_bootstrap = threading.Thread._bootstrap_inner.__code__  # type: ignore[attr-defined]


def _beginning() -> Any:
    """The thread that calls, where it is not listed yet: the garbage collector may come by in its first steps."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code is not _bootstrap:
        frame = frame.f_back
    return None if frame is None else frame.f_locals.get("self")


def _leave(number: int) -> None:
    party, _ = _parties.pop(number, (None, None))
    if party is not None:
        for go in gone:
            go(party)


# Called in a thread that is seen for the first time, and in one that ends. They take no lock and raise nothing.
arrived: list[Callable[[Party], None]] = []
gone: list[Callable[[Party], None]] = []
renewed: list[Callable[[Book], None]] = []  # with the notes of the leaf that is over

MUTE: Chain = _Mute(None, None)
muted = False
current = Book()
_parties: dict[int, tuple[Party, ref[_Life]]] = {}
here = Here()


def parties() -> list[Party]:
    """All threads that have ever taken a watched lock, and live."""
    return [party for party, _ in tuple(_parties.values())]


def renew() -> Book:
    """Begin a new leaf; the notes of the one before are returned, and nobody adds to them any more.

    A thread that is just making a note may still put it there.
    """
    global current
    before = current
    current = Book(before.leaf + 1, before.limit)
    for hand_on in renewed:
        hand_on(before)
    if here.me.lost:
        _without_lost(here.me)
    for party in parties():
        # It goes on where it stands only until it has let go what it holds. Nothing is known from there on any more, so
        # that ``learn`` is asked, which gives it a new one.
        chain: Chain | None = party.chain
        while chain is not None and chain is not MUTE:
            chain.clear()
            chain.joined = None
            chain = chain.parent
    return before


def lose(party: Party, ident: Ident) -> None:
    """What ``party`` holds was let go by another thread, or is gone. Called in any thread, by finalizers too."""
    if party.chain is not MUTE:  # where it would not be taken out, and more come with each repetition
        party.lost.append(ident)


def _without_lost(party: Party) -> Chain:
    """The place of the calling thread, without what others have let go, or what is gone."""
    lost = []
    while party.lost:  # others may add to it meanwhile
        lost.append(party.lost.popleft())
    party.chain = without(party.chain, lost)
    return party.chain


def unnoted() -> AbstractContextManager[None]:
    """Note nothing in the block, and let nothing grow: a test is repeated."""
    return _muted(True)


def noted() -> AbstractContextManager[None]:
    """Note what is taken in the block, on a leaf of its own, within ``unnoted`` too."""
    return _muted(False)


@contextmanager
def _muted(now: bool) -> Iterator[None]:
    global muted
    before, muted = muted, now
    renew()
    try:
        yield
    finally:
        muted = before
        renew()


def learn(party: Party, ident: Ident, place: Place, *, joined: bool = False) -> Chain:
    """The place of ``party`` in its tree when it has taken ``ident`` too, where that was not known.

    ``joined``: it was not waited for, so that it makes no order.
    """
    chain = party.chain
    if ident.outside is None and not party.collecting:
        ident.outside = place
    if party.lost:
        chain = _without_lost(party)
    if muted and chain is not MUTE:
        # What it holds it may hold for ever (a test that failed between acquire and release): nothing is to grow there.
        party.leaf, party.others = current, {}
        chain = party.chain = MUTE
    if chain.ident is None and party.leaf is not current:
        party.leaf, party.others = current, {}
        chain = party.chain = MUTE if muted else Chain(None, None)
    if chain is MUTE:
        return chain
    known = chain.get(ident)
    if known is None and joined:
        known = _below(chain, ident)
        return _join(chain, ident, place) if known is None else known
    if known is not None:
        return known
    made = chain[ident] = Chain(ident, chain, place)
    if chain.ident is not None:
        _note(party, chain, ident, place)
    return made


def _below(chain: Chain, ident: Ident) -> Chain | None:
    return None if chain.joined is None else chain.joined.get(ident)


def _join(chain: Chain, ident: Ident, place: Place) -> Chain:
    made = Chain(ident, chain, place)
    if chain.joined is None:
        chain.joined = {}
    chain.joined[ident] = made
    return made


def _note(party: Party, chain: Chain, ident: Ident, place: Place) -> None:
    held = tuple(chain.held())
    book = current
    if ident in held:  # a Lock that is waited for by whoever holds it is a signal, which makes no order
        return
    places = tuple(_places(chain))
    what = held, places, ident, place
    key = party.number, what
    if key in book.known:  # not counted again: one thread must not use up what is kept of all
        return
    alike = book.alike.get(what, 0) + 1
    if alike > 1 or len(book.alike) < book.limit:
        book.alike[what] = alike
    if alike <= _MOST_ALIKE:
        book.add(Seen(book.leaf, party.name, held, places, ident, place, party.number), key)


def _places(chain: Chain) -> Iterator[Place]:
    """Where each that is held was taken, the innermost first: the last time, unless that was said by the library."""
    while chain.ident is not None and chain.parent is not None:
        code, offset = chain.ident.code, chain.ident.offset
        yield chain.place if code is None or is_of_library(code) else (code, offset)
        chain = chain.parent


_LIBRARY = os.path.dirname(os.__file__) + os.sep


def is_of_library(code: CodeType) -> bool:
    """Whether it is the standard library's, which takes locks for others: an ExitStack, a condition."""
    path = code.co_filename
    return path.startswith(_LIBRARY) and "-packages" not in path


def leave(party: Party, ident: Ident) -> None:
    """Let ``ident`` go, which is not what was taken last."""
    chain = party.chain
    if chain is not MUTE:
        party.chain = without(chain, [ident])


def without(chain: Chain, gone: list[Ident]) -> Chain:
    """The place of whoever holds what ``chain`` says, but no more what is ``gone`` (each once)."""
    rest, left = [], list(gone)
    while chain.ident is not None and chain.parent is not None:
        if chain.ident in left:
            left.remove(chain.ident)
        else:
            rest.append((chain.ident, chain.place))
        chain = chain.parent
    for ident, place in reversed(rest):
        known = chain.get(ident)
        if known is None:
            known = _below(chain, ident)
        chain = _join(chain, ident, place) if known is None else known
    return chain


def places(chain: Chain) -> Iterator[tuple[Ident, Place]]:
    """What was ever taken first from ``chain`` down, with the places: of a root, all that its thread took."""
    for ident, child in tuple(chain.items()):
        if type(ident) is Permits:  # no lock: what was taken behind it was taken first
            yield from places(child)
        else:
            yield ident, child.place


def root_of(chain: Chain) -> Chain:
    """The root of the tree that a place is in."""
    while chain.parent is not None:
        chain = chain.parent
    return chain


def taken_by(party: Party) -> list[tuple[Ident, Place]]:
    """What a thread took first on this leaf, while it held nothing else, with the places."""
    if party.leaf is not current:
        return []
    return [each for root in (*tuple(party.others.values()), root_of(party.chain)) for each in places(root)]


def note_wait(party: Party, chain: Chain, token: Ident, place: Place) -> None:
    """Note that ``party``, which stood at ``chain``, waited for what ``token`` stands for."""
    held = tuple(chain.held())
    where = tuple((each.code, each.offset) for each in held)
    book = current
    book.add(
        Seen(book.leaf, party.name, held, where, token, place, party.number), (party.number, held, where, token, place)
    )


def note_need(thread: str, token: Ident, ident: Ident, place: Place) -> None:
    """Note that what ``token`` stands for is not over before ``ident`` was taken, at ``place``."""
    book = current
    book.add(Seen(book.leaf, thread, (token,), (place,), ident, place), (token, ident, place))


def taken(party: Party) -> set[Ident]:
    """All that a thread took on this leaf, and what it holds since before."""
    root, path = party.chain, []
    while root.parent is not None:
        path.append(root)
        root = root.parent
    found: set[Ident] = set()
    left = [root, *path, *(tuple(party.others.values()) if party.leaf is current else ())]
    while left:
        chain = left.pop()
        if chain.ident is not None:
            found.add(chain.ident)
        left += list(chain.values())
        if chain.joined:
            left += list(chain.joined.values())
    return found


@call_in_children
def _forget_other_threads() -> None:
    me = here.me
    me.thread, me.native = get_ident(), threading.get_native_id()
    for number, (party, _) in list(_parties.items()):
        if party is not me:
            _parties.pop(number, None)


__all__ = [
    "MUTE",
    "Book",
    "Chain",
    "Ident",
    "Party",
    "Permits",
    "Place",
    "Seen",
    "arrived",
    "gone",
    "here",
    "learn",
    "leave",
    "lose",
    "note_need",
    "note_wait",
    "noted",
    "parties",
    "places",
    "renew",
    "renewed",
    "root_of",
    "taken",
    "taken_by",
    "unnoted",
    "without",
]
