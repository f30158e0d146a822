"""What can be waited for that is no lock: the end of a thread, a future, something in a queue. Part of the order graph.

Each such thing is a token. Who waits for one while it holds locks makes an edge from those to the token; what is to
happen before the wait is over *holds* the token, so that what it locks makes edges from the token on. "Join while
holding the lock that the thread needs" is a circle then, though the thread had got it in time.

Rules, each there because an innocent program was, or would be, called a deadlock without it:

- Only waits without a timeout count, and only what is waited for while a watched lock is held.
- What somebody has been told of is over: a thread that was joined, or seen to be dead; a future that was asked
  ``done()``, or for its result, before, or which is to call somebody back. To wait for it once more is no wait.
- A queue's item needs a lock only if everybody who puts holds it, and somebody else than the getter does; who looks
  into the queue (``empty``, ``qsize``, ``full``) while it holds the lock knows what it does, and so does who has put
  just before; who puts back what it got in the same block keeps nobody waiting. Room in a queue is waited for only in
  one that was full.
- A lock that a thread took by a try, or with a timeout, it does not need.

What is noted is noted when the wait is over: until then nobody knows what the other side took. It lives where it
belongs: of a thread and a queue with their objects, of a future with it, until the notes are made. Nothing here is on
the path of a lock.
"""

from __future__ import annotations

import concurrent.futures.thread as pools
import functools
import gc
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import _base
from typing import Any, NamedTuple
from weakref import ref

from coresys.threads.watching import chains, makers, waits
from coresys.threads.watching.chains import MUTE, Chain, Ident, Party, Permits, Place, Seen, here, learn, leave, lose
from coresys.threads.watching.graph import LONGEST

Replace = Callable[[Any, str, Any], None]
__tracebackhide__ = True  # of a failure, pytest shows what the user wrote

PARTY, RUN, POOL, TOLD, TRAFFIC = (
    "_coresys_party",
    "_coresys_run",
    "_coresys_pool",
    "_coresys_told",
    "_coresys_traffic",
)
_is_alive = threading.Thread.is_alive
_COLLECTOR = Ident("collector", (None, 0), "the garbage collector")


def install(replace: Replace) -> None:
    """Put the watching methods in place, by ``replace(owner, name, new)``."""
    for name, around in (("join", _join), ("is_alive", _alive)):
        replace(threading.Thread, name, around(vars(threading.Thread)[name]))
    for name, around in (
        ("result", _result),
        ("exception", _result),
        ("done", _done),
        ("set_result", _finished),
        ("set_exception", _finished),
        ("add_done_callback", _told),
    ):
        replace(_base.Future, name, around(vars(_base.Future)[name]))
    replace(_base._AcquireFutures, "__init__", _together(_base._AcquireFutures.__init__))
    replace(pools._WorkItem, "run", _run(pools._WorkItem.run))
    replace(pools.ThreadPoolExecutor, "submit", _submit(pools.ThreadPoolExecutor.submit))
    for name in ("get", "put", "join", "task_done", "empty", "full", "qsize"):
        replace(queue.Queue, name, _OF_QUEUE[name](vars(queue.Queue)[name]))
    for cls in (threading.Semaphore, threading.BoundedSemaphore):
        for name, around in (("acquire", _acquire), ("__enter__", _acquire), ("release", _release)):
            if name in vars(cls):
                replace(cls, name, around(vars(cls)[name]))
    replace(threading.Semaphore, "__init__", _make(threading.Semaphore.__init__))
    gc.callbacks.append(collecting)


def uninstall() -> None:
    """Take away what is no method: the rest goes with what replaced it."""
    if collecting in gc.callbacks:
        gc.callbacks.remove(collecting)


# Threads


def _join(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def join(self: threading.Thread, timeout: float | None = None) -> None:
        if timeout is None:
            me = here.me
            chain = me.chain
            frame = sys._getframe(1)
            if self._started.is_set() and self is not threading.current_thread():  # type: ignore[attr-defined]
                original(self, 0)  # as it would itself, of one that has ended
                if _is_alive(self):
                    waits.park("thread", self, frame, lambda pause: _joined(original, self, pause))
            else:
                original(self)  # raises
            if chain.ident is not None:
                _note_join(me, chain, self, makers.outside(frame))
        else:
            original(self, timeout)
        party = self.__dict__.get(PARTY)
        if party is not None and not party.over and (timeout is None or not _is_alive(self)):
            party.over = True

    return join


def _joined(original: Callable[..., None], thread: threading.Thread, pause: float) -> bool:
    original(thread, pause)
    return not _is_alive(thread)


def _note_join(me: Party, chain: Chain, thread: threading.Thread, place: Place) -> None:
    party = thread.__dict__.get(PARTY)
    if party is None or party.over:
        return
    taken = chains.taken_by(party)
    if taken:
        name = f"thread {thread._name}"  # type: ignore[attr-defined]
        _note(me, chain, Ident("thread", (None, 0), name), place, name, taken)


def _note(me: Party, chain: Chain, token: Ident, place: Place, thread: str, taken: list[tuple[Ident, Place]]) -> None:
    book, key = chains.current, (me.number, tuple(chain.held()), place, tuple(taken))
    if key in book.known:  # each thread and future is another one: a loop over them says the same each time
        return
    book.known.add(key)
    chains.note_wait(me, chain, token, place)
    for ident, at in taken:
        chains.note_need(thread, token, ident, at)


def _alive(original: Callable[..., bool]) -> Callable[..., bool]:
    @functools.wraps(original)
    def is_alive(self: threading.Thread) -> bool:
        alive = original(self)
        if not alive and PARTY in self.__dict__:
            self.__dict__[PARTY].over = True
        return alive

    return is_alive


# Futures of pools of threads


class Run:
    """A piece of work of a pool: who does it, and what it took before its future was done."""

    __slots__ = ("code", "party", "qualname", "root", "taken")

    def __init__(self, party: Party, root: Chain, function: Any) -> None:
        self.party, self.root = party, root
        name = getattr(function, "__qualname__", None)
        self.qualname = name if type(name) is str and name else type(function).__qualname__
        self.taken: list[tuple[Ident, Place]] | None = None

    @property
    def name(self) -> str:
        """What the function is called."""
        return self.qualname.replace(".<locals>", "")

    def end(self) -> None:
        """Its future is about to be done: what is taken from here on is nothing that anybody waits for."""
        if self.taken is None:
            self.taken = list(chains.places(self.root)) if self.root else []


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future = original(self, fn, *args, **kwargs)
        future.__dict__[POOL] = ref(self)
        return future

    return submit


def _run(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def run(self: Any, *given: Any) -> Any:
        me = here.me
        before = me.chain
        if before.ident is not None:
            return original(self, *given)
        book, future = chains.current, self.future
        root = me.chain = MUTE if before is MUTE else Chain(None, None)
        if root is not MUTE and me.leaf is not book:
            me.leaf, me.others = book, {}
            before = Chain(None, None)
        run = future.__dict__[RUN] = Run(me, root, getattr(self, "fn", None) or getattr(self, "task", (None,))[0])
        try:
            return original(self, *given)
        finally:
            run.end()
            if not run.taken:
                future.__dict__.pop(RUN, None)
            _put_back(me, root, before, book)
            self = future = run = None  # type: ignore[assignment]  # as the original: no circle with an exception

    return run


def _put_back(me: Party, root: Chain, before: Chain, book: Any) -> None:
    """Have the thread stand where it stood, and know what its piece of work took."""
    if me.chain is not root or chains.current is not book:
        return  # it holds something still, or a new leaf has begun: ``learn`` sees to that
    if root:
        for ident, child in tuple(root.items()):
            if ident not in before:
                before[ident] = Chain(ident, before, child.place)
    me.chain = before


def _finished(original: Callable[..., Any]) -> Callable[..., Any]:
    name = original.__name__

    def end(self: Any, given: Any) -> Any:
        run = self.__dict__.get(RUN)
        if run is not None:
            run.end()
        try:
            return original(self, given)
        finally:
            self = given = None

    if name == "set_result":

        @functools.wraps(original)
        def set_result(self: Any, result: Any) -> Any:
            return end(self, result)

        return set_result

    @functools.wraps(original)
    def set_exception(self: Any, exception: Any) -> Any:
        try:
            return end(self, exception)
        finally:
            exception = None

    return set_exception


def _result(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def result(self: Any, timeout: float | None = None) -> Any:
        me = here.me
        chain, outer = me.chain, me.aim
        me.aim = self
        try:
            return original(self, timeout)
        finally:
            me.aim = outer
            if self._state != _base.PENDING and self._state != _base.RUNNING:
                if chain.ident is not None and timeout is None:
                    _note_result(me, chain, self, makers.outside(sys._getframe(1)))
                self.__dict__[TOLD] = True
            self = outer = None

    return result


def _note_result(me: Party, chain: Chain, future: Any, place: Place) -> None:
    run = future.__dict__.get(RUN)
    if run is None or not run.taken or run.party.over or future.__dict__.get(TOLD):
        return
    name = f"the future of {run.name}"
    _note(me, chain, Ident("future", (None, 0), name), place, name, run.taken)


def _done(original: Callable[..., bool]) -> Callable[..., bool]:
    @functools.wraps(original)
    def done(self: Any) -> bool:
        answer = original(self)
        if answer:
            self.__dict__[TOLD] = True
        return answer

    return done


def _told(original: Callable[..., None]) -> Callable[..., None]:
    """Who is called back asks for the result of what is done; whether that is now is not known before."""

    @functools.wraps(original)
    def add_done_callback(self: Any, fn: Any) -> None:
        self.__dict__[TOLD] = True
        original(self, fn)

    return add_done_callback


def _together(original: Callable[..., None]) -> Callable[..., None]:
    """Of ``wait`` and ``as_completed``: they take the futures' conditions by this, whoever has imported them."""

    @functools.wraps(original)
    def __init__(self: Any, futures: Any) -> None:
        original(self, futures)
        me = here.me
        frame = sys._getframe(1)
        patient = me.chain.ident is not None and frame.f_locals.get("timeout", 0) is None
        for future in self.futures:
            run = future.__dict__.get(RUN)
            if patient and run is not None and run.taken is not None:
                _note_result(me, me.chain, future, makers.outside(frame))
            # One that still runs may take more; who asks it for its result afterwards has been told.
            future.__dict__[TOLD] = True

    return __init__


# Queues


class Noted(NamedTuple):
    """A thread did something with a queue while it held locks: which (the innermost first), taken where; at which
    place. ``back``: it put back what it had got while it held the same."""

    party: int
    thread: str
    held: tuple[Ident, ...]
    where: tuple[Place, ...]
    place: Place
    back: bool


class Traffic:
    """Who put into one queue, and who got from it, on one leaf."""

    __slots__ = ("between", "book", "free", "full", "gets", "joins", "known", "made", "main", "puts", "roots", "waits")

    def __init__(self, book: Any, made: Place) -> None:
        self.book, self.made = book, made
        self.free = self.full = False  # somebody puts who holds nothing; a put found no room
        self.gets: list[Noted] = []
        self.puts: list[Noted] = []
        self.waits: list[Noted] = []  # for room
        self.joins: list[Noted] = []
        self.known: set[tuple[int, int, str]] = set()  # what a thread did at one place of its tree
        self.roots: dict[int, Chain] = {}  # by consumer
        # What consumers took before they went for the next item, and before they said that they were done.
        self.between: dict[str, dict[int, tuple[str, dict[Ident, Place]]]] = {"room": {}, "end of work": {}}

    def notes(self) -> list[Seen]:
        """The edges that are certain."""
        return [*self._of_items(), *self._of_consumers("room", self.waits if self.full else [])] + self._of_consumers(
            "end of work", self.joins
        )

    def _of_items(self) -> list[Seen]:
        if self.free or not self.gets or not self.puts:
            return []
        needed = set(self.puts[0].held).intersection(*(put.held for put in self.puts))
        token = Ident("item", self.made)
        found = []
        for get in self.gets:
            for put in self.puts:
                if put.party == get.party or put.back:
                    continue
                for ident in needed.intersection(get.held):
                    place = put.where[put.held.index(ident)]
                    found += [self._wait(get, token), self._need(put.thread, token, ident, place)]
        return found

    def _of_consumers(self, kind: str, waiting: list[Noted]) -> list[Seen]:
        consumers = self.between[kind]
        if not waiting or not consumers:
            return []
        token = Ident(kind, self.made)
        found = []
        for wait in waiting:
            others = [taken for number, taken in consumers.items() if number != wait.party]
            needed = set(others[0][1]).intersection(*(taken for _, taken in others)) if others else set()
            for ident in needed.intersection(wait.held):
                found += [self._wait(wait, token), self._need(others[0][0], token, ident, others[0][1][ident])]
        return found

    def _wait(self, noted: Noted, token: Ident) -> Seen:
        return Seen(self.book.leaf, noted.thread, noted.held, noted.where, token, noted.place)

    def _need(self, thread: str, token: Ident, ident: Ident, place: Place) -> Seen:
        return Seen(self.book.leaf, thread, (token,), (place,), ident, place)


def _traffic(of: Any) -> Traffic | None:
    """Of this leaf; None where nothing is noted."""
    book = chains.current
    known: Traffic | None = of.__dict__.get(TRAFFIC)
    if known is not None and known.book is book:
        return known
    if chains.muted or len(book.pending) >= book.limit:
        return None
    ident = getattr(getattr(of, "mutex", None), "_ident", None)
    known = of.__dict__[TRAFFIC] = Traffic(book, (None, 0) if ident is None else ident.made)
    book.pending.append(known)
    return known


def _noted(me: Party, chain: Chain, frame: Any, *, back: bool = False) -> Noted:
    held = tuple(chain.held())
    where = tuple((ident.code, ident.offset) for ident in held)
    return Noted(me.number, me.name, held, where, makers.outside(frame), back)


def _get(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get(self: Any, block: bool = True, timeout: float | None = None) -> Any:
        me = here.me
        chain = me.chain
        if chain.ident is None:
            if not chains.muted:
                _next(self, me, "room")
            return original(self, block, timeout)
        traffic = _traffic(self)
        item = original(self, block, timeout)
        if traffic is not None:
            key = me.number, id(chain)
            if block and timeout is None and not traffic.known & {(*key, "looked"), (*key, "put"), (*key, "get")}:
                traffic.gets.append(_noted(me, chain, sys._getframe(1)))
                traffic.known.add((*key, "get"))
            traffic.known.add((*key, "got"))
        return item

    return get


def _next(of: Any, me: Party, kind: str) -> None:
    """A consumer that holds nothing goes for the next item, or is done with one: what it took since the last."""
    traffic = _traffic(of)
    if traffic is None or me.chain is MUTE:
        return
    root = traffic.roots.get(me.number)
    if root is not None and me.chain is root:
        known = traffic.between[kind].get(me.number)
        if known is None:
            known = traffic.between[kind][me.number] = me.name, {}
        if len(root) != len(known[1]):
            known[1].update(chains.places(root))
        return
    if kind != "room":
        return
    if me.leaf is not traffic.book:
        me.leaf, me.others = traffic.book, {}
    elif me.chain:
        me.others[id(me.chain)] = me.chain
    if root is None:
        root = traffic.roots[me.number] = Chain(None, None)
        me.others[id(root)] = root
    me.chain = root


def _put(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def put(self: Any, item: Any, block: bool = True, timeout: float | None = None) -> None:
        me = here.me
        chain = me.chain
        traffic = None if chains.muted else _traffic(self)
        if traffic is None:
            return original(self, item, block, timeout)
        if self.maxsize > 0 and not traffic.full and _no_room(self):
            traffic.full = True
        if chain.ident is None:
            if not traffic.free and (traffic.gets or traffic.roots or not _is_main(me)):
                # What the main thread puts there before anybody gets is what there is to begin with.
                traffic.free = True
            return original(self, item, block, timeout)
        original(self, item, block, timeout)
        _note_put(self, me, chain, traffic, block and timeout is None)
        return None

    return put


def _no_room(of: Any) -> bool:
    try:
        return bool(len(of.queue) >= of.maxsize)
    except (AttributeError, TypeError):  # somebody's own kind of queue
        return False


def _is_main(me: Party) -> bool:
    return bool(me.thread == threading._main_thread._ident)  # type: ignore[attr-defined]


def _note_put(of: Any, me: Party, chain: Chain, traffic: Traffic, patient: bool) -> None:
    key = me.number, id(chain)
    if (*key, "put") in traffic.known:
        return
    noted = _noted(me, chain, sys._getframe(2), back=(*key, "got") in traffic.known)
    traffic.puts.append(noted)
    if patient and of.maxsize > 0 and (*key, "looked") not in traffic.known:
        traffic.waits.append(noted)
    traffic.known.add((*key, "put"))


def _queue_join(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def join(self: Any) -> None:
        me = here.me
        chain = me.chain
        original(self)
        if chain.ident is not None:
            traffic = _traffic(self)
            if traffic is not None:
                traffic.joins.append(_noted(me, chain, sys._getframe(1)))

    return join


def _task_done(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def task_done(self: Any) -> None:
        me = here.me
        if me.chain.ident is None and not chains.muted:
            _next(self, me, "end of work")
        original(self)

    return task_done


def _looking(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def look(self: Any) -> Any:
        me = here.me
        if me.chain.ident is not None:
            traffic = _traffic(self)
            if traffic is not None:
                traffic.known.add((me.number, id(me.chain), "looked"))
        return original(self)

    return look


_OF_QUEUE: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "get": _get,
    "put": _put,
    "join": _queue_join,
    "task_done": _task_done,
    "empty": _looking,
    "full": _looking,
    "qsize": _looking,
}


# Semaphores: with one permit they are locks where whoever takes them lets them go, with some more they are gates


class _Permit:
    """What the watch knows of a semaphore that begins with one permit."""

    __slots__ = ("holder", "ident")

    def __init__(self, made: Place) -> None:
        self.ident = Ident("semaphore", made)
        self.holder: Party | None = None

    def __del__(self) -> None:
        if self.holder is not None:  # nobody will ever let it go
            lose(self.holder, self.ident)

    def taken(self, place: Place, *, joined: bool) -> None:
        ident = self.ident
        if ident.handed:
            return
        if self.holder is not None:  # it has more permits than one by now: whoever has one keeps nobody out
            ident.handed = True
            lose(self.holder, ident)
            self.holder = None
            return
        me = self.holder = here.me
        _learn_permit(me, ident, place, joined=joined)

    def let_go(self, permits: int) -> None:
        me, holder = here.me, self.holder
        self.holder = None
        if holder is None or permits != 1:  # it has more permits than one from here on
            self.ident.handed = True
        if holder is me:
            leave(me, self.ident)
        elif holder is not None:
            self.ident.handed = True
            lose(holder, self.ident)


class _Several:
    """What the watch knows of a semaphore that begins with some permits: who has how many of them.

    The count of a thread is written by that thread, by steps of the interpreter that take it whole.
    """

    __slots__ = ("holders", "ident")

    def __init__(self, made: Place, permits: int) -> None:
        self.ident = Permits("semaphore", made, permits)
        self.holders: dict[Party, int] = {}

    def __del__(self) -> None:
        for holder, count in tuple(self.holders.items()):
            for _ in range(count):
                lose(holder, self.ident)

    def taken(self, place: Place, *, joined: bool) -> None:
        ident = self.ident
        if ident.handed:
            return
        me = here.me
        self.holders[me] = self.holders.get(me, 0) + 1
        _learn_permit(me, ident, place, joined=joined)

    def let_go(self, permits: int) -> None:
        me = here.me
        mine = self.holders.get(me, 0)
        if permits > mine:  # of whoever has one nobody knows whether there is one more now: it keeps nobody out
            self.ident.handed = True
        for _ in range(min(permits, mine)):
            leave(me, self.ident)
        if mine > permits:
            self.holders[me] = mine - permits
        else:
            self.holders.pop(me, None)


def _learn_permit(me: Party, ident: Ident, place: Place, *, joined: bool) -> None:
    ident.code, ident.offset = place
    chain = None if joined else me.chain.get(ident)
    me.chain = learn(me, ident, place, joined=joined) if chain is None else chain


_PERMIT = "_coresys_permit"


def _make(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, value: int = 1) -> None:
        original(self, value)
        frame = sys._getframe(1)
        # As many permits as a circle has edges at most excuse none.
        if 0 < value < LONGEST and makers.kind_of(frame.f_globals.get("__name__")) is not makers.PLUMBING:
            made = makers.outside(frame)
            if made[0] is not None and not _of_library(frame):
                self.__dict__[_PERMIT] = _Permit(made) if value == 1 else _Several(made, value)

    return __init__


def _of_library(frame: Any) -> bool:
    """Whether it is made by the standard library for itself: not by a subclass of a semaphore."""
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if name != "threading":
            return makers.kind_of(name) is not makers.USER
        frame = frame.f_back
    return True


def _acquire(original: Callable[..., bool]) -> Callable[..., bool]:
    @functools.wraps(original)
    def acquire(self: Any, blocking: bool = True, timeout: float | None = None) -> bool:
        got = original(self, blocking, timeout)
        permit: _Permit | _Several | None = self.__dict__.get(_PERMIT)
        if got and permit is not None:
            permit.taken(makers.outside(sys._getframe(1)), joined=not blocking or timeout is not None)
        return got

    return acquire


def _release(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def release(self: Any, n: int = 1) -> None:
        permit: _Permit | _Several | None = self.__dict__.get(_PERMIT)
        if permit is not None:
            permit.let_go(n)
        original(self, n)

    return release


# Finalizers


def collecting(phase: str, info: object) -> None:
    """Of the garbage collector, which runs finalizers in whatever thread it finds: as if that held a lock meanwhile.

    Comes by some thousand times a second where much is made: a known place costs two looks.
    """
    me = here.me
    if phase == "start":
        chain = me.chain
        if chain is not MUTE and not me.collecting:
            me.collecting = True
            joined = chain.joined
            known = None if joined is None or me.lost else joined.get(_COLLECTOR)
            me.chain = learn(me, _COLLECTOR, (None, 0), joined=True) if known is None else known
    elif me.collecting:
        me.collecting = False
        chain = me.chain
        if chain.ident is _COLLECTOR:
            me.chain = chain.parent  # type: ignore[assignment]  # a chain with an ident has a parent
        else:
            leave(me, _COLLECTOR)


__all__ = ["PARTY", "POOL", "RUN", "collecting", "install", "uninstall"]
