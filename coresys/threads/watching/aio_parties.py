"""Tasks as parties of the order graph: what each holds, in its order. As ``chains``, for tasks of an event loop.

A task is to asyncio what a thread is to ``threading``: it stands at a node of a tree of orders. All tasks of a loop
have one tree, for they take turns: so what one has done the others need not note again, and a new task costs nothing.

A task that somebody waits for while he holds locks has a *token*: who waits takes it, and who runs in that task needs
all that it takes. "Await the task while holding the lock that it takes" is a circle then, though it had got it in
time. What such a task took before counts too, unless it has told somebody something since (an event that it set, an
item that it put), for then who waits may have known that it was done with that.

Nothing here keeps a lock, a task or a loop alive: all are found by number, and forgotten when they die.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any
from weakref import ref

from coresys.clock import monotonic
from coresys.threads.watching import chains
from coresys.threads.watching.aio_tasks import ANYBODY, SOMEBODY, enders, is_task, name_of, standing, timed, waiter_of
from coresys.threads.watching.chains import MUTE, Chain, Ident, Party, Place, Seen, learn, leave
from coresys.threads.watching.graph import LONGEST

AT_ONCE = 16  # holders that are looked at in one turn of a loop
_MOST = 256  # locks that a task is remembered to have taken
_MOST_TIMERS = 1000  # that are gone through for a lock which makes no order itself
_OFTEN = 8  # times that an order was seen with a timeout, before it is taken to have one each time


class State:
    """A lock of asyncio's, as the watch knows it. ``limit``: how many may hold it at once."""

    __slots__ = ("__weakref__", "holders", "ident", "limit", "lock")

    def __init__(self, lock: Any, ident: Ident, limit: int) -> None:
        self.lock = ref(lock, partial(states.pop, id(lock)))
        self.ident, self.limit = ident, limit
        self.holders: list[Held] = []

    @property
    def gates(self) -> bool:
        """Whether it makes an order, or excuses a circle: not where it lets in as many as a circle may have edges."""
        return self.limit < LONGEST


class Held:
    """A task has taken a lock, at a place."""

    __slots__ = ("party", "place", "state")

    def __init__(self, party: TaskParty, state: State, place: Place) -> None:
        self.party, self.state, self.place = party, state, place


class Wait:
    """A task waits for a lock that is not free."""

    __slots__ = ("place", "since", "state")

    def __init__(self, state: State, place: Place) -> None:
        self.state, self.place, self.since = state, place, monotonic()


class Watch:
    """What is known of the tasks of one loop: the tree of their orders, and who of them holds or waits.

    Changed only by the thread that runs the loop.
    """

    __slots__ = (
        "__weakref__",
        "leaf",
        "looking",
        "loop",
        "next_look",
        "noted",
        "root",
        "suspects",
        "timed",
        "told",
        "waiting",
    )

    def __init__(self, loop: Any) -> None:
        self.loop = ref(loop, partial(watches.pop, id(loop)))
        self.leaf: Any = None
        self.root: Chain = MUTE
        self.looking: dict[int, TaskParty] = {}  # those that hold something
        self.waiting: dict[int, TaskParty] = {}  # for a lock
        self.timed: dict[tuple[int, Ident], int] = {}
        self.noted: set[tuple[tuple[Ident, ...], Ident]] = set()  # what was held while a task was awaited that took
        self.next_look = 0.0
        self.suspects: dict[Any, tuple[float, float]] = {}  # circles, since when, and which time of the loop to await
        self.told: dict[int, int] = {}  # how often a task was told of a deadlock

    def renewed(self) -> Chain:
        """The root of the tree of the present leaf."""
        if self.leaf is not chains.current:
            self.leaf = chains.current
            self.root = MUTE if chains.muted else Chain(None, None)
            self.timed.clear()
            self.noted.clear()
        return self.root


class TaskParty(Party):
    """A task: where it stands, and what it holds.

    ``takes`` are the locks that it took since it last told somebody something. ``waits_for_it``: those who were seen to
    wait for its ``token`` while they held locks, each with what, taken where, and where they stood.
    """

    __slots__ = ("awaited", "held", "settled", "takes", "task", "token", "waits_for_it", "watch")

    def __init__(self, task: Any, watch: Watch) -> None:
        super().__init__(0)
        self.number = id(self)
        self.task = ref(task, partial(parties.pop, id(task)))
        self.watch = watch
        self.held: list[Held] = []
        self.settled = False  # whether it stands in the tree of its loop
        self.awaited: Any = None  # what it was last seen to wait for
        self.token: Ident | None = None
        self.takes: dict[Ident, Place] = {}
        self.waits_for_it: list[Seen] = []

    @property
    def name(self) -> str:
        """As ``name_of`` a task."""
        task = self.task()
        return "a task that has ended" if task is None else name_of(task)

    def alive(self) -> bool:
        """Whether the task still runs."""
        task = self.task()
        return task is not None and not task.done()

    def present(self) -> None:
        """Stand in the tree of the present leaf, with what it holds."""
        root = self.watch.renewed()
        if self.leaf is self.watch.leaf and self.settled:
            return
        self.leaf, self.settled = self.watch.leaf, True
        self.token = None
        self.takes.clear()
        self.waits_for_it.clear()
        if root is not MUTE:
            for held in self.held:
                root = _joined(root, held.state.ident, held.place)
        self.chain = root

    def take(self, state: State, place: Place) -> None:
        """It has got a lock."""
        if self.leaf is not chains.current or not self.settled:
            self.present()
        ident = state.ident
        ident.code, ident.offset = place
        chain = self.chain
        known = chain.get(ident)
        ordered = known is not None
        if known is None:
            known = learn(self, ident, place, joined=self._has_timeout(chain, ident))
            ordered = chain.get(ident) is known
        self.chain = known
        if ordered and known is not MUTE:
            if self.waits_for_it:
                self._needs(ident, place, self.waits_for_it)
            elif len(self.takes) < _MOST:
                self.takes[ident] = place
        mine = self.held
        if not mine:
            self.watch.looking[self.number] = self
        held = Held(self, state, place)
        mine.append(held)
        state.holders.append(held)

    def _has_timeout(self, chain: Chain, ident: Ident) -> bool:
        """Whether it would not have waited for ever. An order that was often seen so is not asked about any more."""
        key = id(chain), ident
        times = self.watch.timed.get(key, 0)
        task = self.task()
        if times < _OFTEN and task is not None and not timed(task, _MOST_TIMERS if chain.ident is None else None):
            return False
        self.watch.timed[key] = times + 1
        return True

    def let_go(self, held: Held) -> None:
        """It has let a lock go, or another has for it."""
        if self.leaf is not chains.current:
            self.present()
        if self.held and self.held[-1] is held:
            self.held.pop()
        elif held in self.held:
            self.held.remove(held)
        chain, ident = self.chain, held.state.ident
        if chain.ident is ident and chain.parent is not None:
            self.chain = chain.parent
        elif chain is not MUTE:
            leave(self, ident)
        if not self.held:
            self.watch.looking.pop(self.number, None)

    def tell(self) -> None:
        """It has told somebody something: whoever waits for it later may know what it is done with."""
        self.takes.clear()

    def look(self) -> None:
        """Note whom it waits for while it holds something: the tasks that have to end before it goes on."""
        task = self.task()
        future = None if task is None else waiter_of(task)
        if future is None or (self.awaited is not None and self.awaited() is future):
            return
        try:
            self.awaited = ref(future)
        except TypeError:
            return
        self.present()
        chain = self.chain
        if chain.ident is None or self.number in self.watch.waiting:
            return
        found = enders(task)
        if found is ANYBODY or found is SOMEBODY:
            found = (future,) if future.done() and is_task(future) else ()
        if found and not timed(task):
            held = tuple(chain.held())
            places = tuple((each.code, each.offset) for each in held)
            for other in found:
                party = party_of(other, self.watch)
                party.present()
                party.is_awaited(Seen(self.leaf.leaf, self.name, held, places, party.its_token(), standing(task)))

    def its_token(self) -> Ident:
        """What stands for the end of this task."""
        if self.token is None:
            self.token = Ident("task", (None, 0), f"the end of {self.name}")
        return self.token

    def is_awaited(self, by: Seen) -> None:
        """Somebody waits for its end, and holds locks meanwhile."""
        if all(each.held != by.held for each in self.waits_for_it):
            self.waits_for_it.append(by)
            for ident, place in self.takes.items():
                self._needs(ident, place, [by])

    def _needs(self, ident: Ident, place: Place, waits: list[Seen]) -> None:
        """Note that those who wait for its end wait for a lock that it takes, if that is not known yet."""
        book, noted = chains.current, self.watch.noted
        for by in waits:
            key = by.held, ident
            if key in noted:
                continue
            if len(book.seen) >= book.limit:
                book.full = True
                return
            noted.add(key)
            book.seen.append(by)
            book.seen.append(Seen(by.leaf, self.name, (by.ident,), (place,), ident, place))


def _joined(chain: Chain, ident: Ident, place: Place) -> Chain:
    """The child of a node for what is held already."""
    known = chain.get(ident)
    if known is None and chain.joined is not None:
        known = chain.joined.get(ident)
    if known is None:
        known = Chain(ident, chain, place)
        if chain.joined is None:
            chain.joined = {}
        chain.joined[ident] = known
    return known


problems: deque[str] = deque(maxlen=20)  # what went wrong here, and was kept from the program


def went_wrong(error: Exception) -> None:
    """Keep an error of ours from the program that is watched: something in it is not as asyncio has it."""
    problems.append(f"{type(error).__name__}: {error}")


states: dict[int, State] = {}
parties: dict[int, TaskParty] = {}
watches: dict[int, Watch] = {}


def watch_of(loop: Any) -> Watch:
    """What is known of a loop."""
    found = watches.get(id(loop))
    if found is None:
        found = Watch(loop)
        watches[id(loop)] = found
    return found


def party_of(task: Any, watch: Watch | None = None) -> TaskParty:
    """What is known of a task."""
    found = parties.get(id(task))
    if found is None:
        found = parties[id(task)] = TaskParty(task, watch or watch_of(task.get_loop()))
    return found


def look_at_holders(watch: Watch) -> None:
    """See whom those wait for who hold something; of very many, some in each turn."""
    looking = watch.looking
    if len(looking) <= AT_ONCE:
        chosen = list(looking.items())
    else:
        chosen = [item for item, _ in zip(looking.items(), range(AT_ONCE), strict=False)]
    for number, party in chosen:
        if not party.alive():
            looking.pop(number, None)
            continue
        if len(looking) > AT_ONCE:
            looking[number] = looking.pop(number)
        party.look()


__all__ = [
    "Held",
    "State",
    "TaskParty",
    "Wait",
    "Watch",
    "look_at_holders",
    "parties",
    "party_of",
    "problems",
    "states",
    "watch_of",
    "watches",
    "went_wrong",
]
