"""Pools of things that are opened, checked and closed: connections, sessions, clients.

Invariants, under one lock, which is a leaf (nothing of a user's, and nothing that waits, is called under it):

- A connection is in one place: idle, out (with a checkout), or in the hands of a turn, which is about to check, make,
  reset or close it. Open are all of these together, never more than ``most``: a turn has its place before it makes
  one, and keeps it until the close has returned.
- Nothing is counted that could be: what is open, and who has how many, follows from these places. A change writes the
  new place first, and then takes from the old; where an exception out of nowhere (KeyboardInterrupt) comes between, a
  turn has precedence over a checkout, and that over the idle ones.
- Whoever waits is served in the order they came, in the step in which a place becomes free.

A finalizer or the handler of a signal may give back in the middle of a change of the same thread; that is noted, and
done when the change is over. All else is refused there (ReentrantCallError). In a forked child all connections are the
parent's: they are neither used nor closed there, and kept, so that nothing of theirs says farewell to the other end.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock, get_ident
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from sys import _getframe
from types import CodeType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from coresys.clock import monotonic
from coresys.errors.hierarchy import (
    ConnectionLimitError,
    ConnectionReleasedError,
    ConnectionsClosedError,
    ConnectionsExhaustedError,
    ReentrantCallError,
    ResourcesNotClosedError,
)
from coresys.forks import renew_in_children
from coresys.resources.lease import Dropped, keep_lost
from coresys.system_records import CheckoutRecord, ConnectionStatistics
from coresys.threads.sites import location, site

if TYPE_CHECKING:
    import asyncio  # when it runs, it is imported by those who have it already: it takes as long as all of coresys

T = TypeVar("T")
R = TypeVar("R")

_MOST_NAMED = 3
_MOST_LEAKED = 1000
_MOST_PROBLEMS = 100

# What leaves a connection in a state that nobody knows: it is closed where one of these leaves the block that uses it.
BROKEN_BY: tuple[type[BaseException], ...] = (ConnectionError, TimeoutError, EOFError)


class _Connection:
    """One that is open."""

    __slots__ = ("epoch", "it", "made", "used")

    def __init__(self, it: Any, now: float, epoch: int) -> None:
        self.it, self.made, self.used, self.epoch = it, now, now, epoch


class _Out:
    """One that is with somebody."""

    __slots__ = ("code", "connection", "dropped", "offset", "owner", "since")

    def __init__(self, owner: str, connection: _Connection, since: float, code: CodeType, offset: int) -> None:
        self.owner, self.connection, self.since, self.code, self.offset = owner, connection, since, code, offset
        self.dropped: Dropped | None = None


class _Turn:
    """Somebody who waits for a place, or has one: ``connection`` is what is in its hands, where it has one yet."""

    __slots__ = ("connection", "gate", "owner")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.connection: _Connection | None = None
        self.gate: Any = None

    def wait_in_line(self) -> None:
        """Have something to wait at."""
        self.gate = allocate_lock()
        self.gate.acquire()

    def wake(self) -> None:
        """Wait no longer."""
        if self.gate is not None and self.gate.locked():
            self.gate.release()


class _AsyncTurn(_Turn):
    __slots__ = ("loop",)

    def __init__(self, owner: str) -> None:
        import asyncio

        super().__init__(owner)
        self.loop = asyncio.get_running_loop()

    def wait_in_line(self) -> None:
        self.gate = self.loop.create_future()

    def wake(self) -> None:
        if self.gate is not None:
            try:
                self.loop.call_soon_threadsafe(_set, self.gate)
            except RuntimeError:  # the loop is closed: nobody waits there any more
                pass


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Checkout(Generic[T]):
    """A connection that is out: ``with checkout as connection:`` gives it back at the end.

    Where the block is left by an error that tells of a broken connection (``broken_by`` of the pool), or by one that
    stops the thread, it is closed instead. Whoever keeps the connection itself beyond that is not seen.
    """

    __slots__ = ("__weakref__", "_epoch", "_out", "_pool", "number")

    number: int  # 0: it was given back
    _out: _Out

    def __init__(self, pool: ConnectionPool[T]) -> None:
        self._pool, self.number, self._epoch = pool, 0, pool.epoch

    @property
    def connection(self) -> T:
        """The connection. Raises ConnectionReleasedError."""
        if not self.number:
            raise self._pool.released(self._out)
        it: T = self._out.connection.it
        return it

    @property
    def record(self) -> CheckoutRecord:
        """Who has it, and where it was taken."""
        return self._pool.record_of(self.number, self._out)

    def release(self) -> None:
        """Give it back. Raises ConnectionReleasedError where that was done before."""
        self._pool.give_back(self, keep=True)

    def discard(self) -> None:
        """Close it rather than give it to others: it is broken. Raises ConnectionReleasedError."""
        self._pool.give_back(self, keep=False)

    def __enter__(self) -> T:
        return self.connection

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._pool.give_back(self, keep=kind is None or not self._pool.breaks(kind))

    def __repr__(self) -> str:
        state = f"with {self._out.owner!r}" if self.number else "released"
        return f"<Checkout of {self._pool.name!r}: {state}>"


class ConnectionPool(Generic[T]):
    """At most ``most`` connections, opened when they are needed, and lent to owners in turn.

    >>> pool = ConnectionPool("db", lambda: sqlite3.connect(":memory:"), close=sqlite3.Connection.close, most=2)
    >>> with pool.acquire(owner="orders") as connection:
    ...     connection.execute("select 1").fetchone()
    (1,)
    >>> pool.statistics().idle
    1
    >>> pool.close()
    ()

    ``healthy`` is asked when an idle one is taken that was not used for ``check_after`` seconds, and by ``check()``;
    one for which it says no, or raises, is closed. ``reset`` is called with each that is given back (a rollback, say);
    where that fails it is closed. Closed are also those above ``most_idle`` idle ones, older than ``lifetime``, or idle
    for ``most_idle_time`` seconds: when they come back, when somebody takes them, and by ``check()``. ``per_owner``:
    how many one owner may hold. ``on_leak`` is told of each that was lost without being given back; that one is closed.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], T],
        *,
        close: Callable[[T], object],
        healthy: Callable[[T], object] | None = None,
        reset: Callable[[T], object] | None = None,
        most: int = 10,
        most_idle: int | None = None,
        per_owner: int | None = None,
        timeout: float = 5.0,
        lifetime: float | None = None,
        most_idle_time: float | None = None,
        check_after: float = 0.0,
        broken_by: tuple[type[BaseException], ...] = BROKEN_BY,
        on_leak: Callable[[CheckoutRecord], object] | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        if most < 1:
            raise ValueError(f"pool {name!r} of {most} connections holds nothing")
        self.name, self.most, self.epoch = name, most, 0
        self._connect, self._close_one, self._healthy, self._reset = connect, close, healthy, reset
        self._most_idle = most if most_idle is None else most_idle
        self._per_owner, self._timeout = per_owner, timeout
        self._lifetime, self._most_idle_time, self._check_after = lifetime, most_idle_time, check_after
        self._broken_by, self._on_leak, self._now = broken_by, on_leak, now
        self._lock = allocate_lock()
        self._holder = 0
        self._closed = False
        self._idle: deque[_Connection] = deque()  # the one that was used last is on the right, and taken first
        self._out: dict[int, _Out] = {}
        self._turns: dict[_Turn, None] = {}
        self._waiting: deque[_Turn] = deque()
        self._last_number = 0
        self._counts: Counter[str] = Counter()
        self._most_busy = 0
        self._leaked: deque[CheckoutRecord] = deque(maxlen=_MOST_LEAKED)
        self._problems: deque[tuple[str, str]] = deque(maxlen=_MOST_PROBLEMS)
        self._inbox: deque[tuple[int, bool]] = deque()  # given back in the middle of a change
        self._orphans: deque[Dropped] = deque()
        self._abandoned: list[_Connection] = []  # of the parent of this process
        renew_in_children(self, ConnectionPool._renew)

    # -- the lock ----------------------------------------------------------------------------------------------------

    def _is_inside(self) -> bool:
        return self._holder == get_ident() and self._lock.locked()

    def _locked(self, action: str, do: Callable[..., R], *given: Any) -> R:
        """Make a change. Raises ReentrantCallError."""
        me = get_ident()
        if self._holder == me and self._lock.locked():  # as _is_inside
            raise ReentrantCallError(action=action)
        with self._lock:
            self._holder = me
            try:
                return do(*given)
            except BaseException:
                self._put_right()
                raise
            finally:
                self._holder = 0

    def _put_right(self) -> None:
        """After an interruption: each connection is in one place."""
        in_turns = {id(turn.connection) for turn in self._turns}
        for number, out in tuple(self._out.items()):
            if id(out.connection) in in_turns:
                self._out.pop(number, None)
        taken = in_turns | {id(out.connection) for out in self._out.values()}
        self._idle = deque(each for each in self._idle if id(each) not in taken)
        self._waiting = deque(each for each in self._waiting if each not in self._turns)

    # -- taking ------------------------------------------------------------------------------------------------------

    def acquire(self, *, owner: str, timeout: float | None = None, depth: int = 1) -> Checkout[T]:
        """A connection, for ``owner``, in the order in which it is asked for.

        Raises ConnectionLimitError at once, ConnectionsExhaustedError after ``timeout`` seconds (those of the pool,
        where it names none), ConnectionsClosedError, and what ``connect`` raises. ``depth``: how many calls up is the
        place that is remembered for it.
        """
        frame = _getframe(depth)
        if self._inbox or self._orphans:
            self.settle()
        turn, checkout = _Turn(owner), Checkout(self)
        seconds = self._timeout if timeout is None else timeout
        try:
            began = self._locked("acquire()", self._ask, turn)
            if turn.gate is not None:
                turn.gate.acquire(True, min(max(seconds, 0.0), TIMEOUT_MAX))
                self._after_waiting(turn, began)
            self._make_ready(turn, checkout, frame.f_code, frame.f_lasti)
        except BaseException:
            try:
                self._give_up(turn, checkout)
            except BaseException:  # an interruption, perhaps before it was done
                self._give_up(turn, checkout)
                raise
            raise
        if self._inbox:
            self.settle()
        return checkout

    @asynccontextmanager
    async def acquire_async(self, *, owner: str, timeout: float | None = None) -> AsyncIterator[T]:
        """As ``acquire``, for ``async with``: the loop goes on while one waits, or is made or checked, in a thread.

        A connection that may be used by its own thread only (of sqlite3, by default) can't be had by this.
        """
        import asyncio

        # Two calls up: whoever enters the block. What contextlib has between is not theirs.
        frame = _getframe(2)
        code, offset = frame.f_code, frame.f_lasti
        del frame  # it would keep all of the caller's
        self.settle()
        turn, checkout = _AsyncTurn(owner), Checkout(self)
        seconds = self._timeout if timeout is None else timeout
        ready: asyncio.Future[None] | None = None
        try:
            began = self._locked("acquire_async()", self._ask, turn)
            if turn.gate is not None:
                await asyncio.wait((turn.gate,), timeout=seconds)
                self._after_waiting(turn, began)
            if self._is_ready(turn):
                self._make_ready(turn, checkout, code, offset)
            else:
                ready = asyncio.ensure_future(asyncio.to_thread(self._make_ready, turn, checkout, code, offset))
                await asyncio.shield(ready)
        except BaseException:
            if ready is not None and not ready.done():  # its thread goes on: what it makes is given up when it is made
                ready.add_done_callback(lambda done: self._give_up_late(done, turn, checkout))
            else:
                if ready is None:  # an idle one that nobody looked at
                    self._locked("acquire_async()", self._keep, turn)
                self._give_up(turn, checkout)
            raise
        keep = True
        try:
            yield checkout.connection
        except BaseException as error:
            keep = not self.breaks(type(error))
            raise
        finally:
            if keep and self._reset is None:
                self.give_back(checkout, keep=True)
            else:
                await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(self.give_back, checkout, keep=keep)))

    def _is_ready(self, turn: _Turn) -> bool:
        """Whether it has one that has neither to be checked nor to be closed."""
        return (
            turn.connection is not None
            and self._healthy is None
            and self._why_not(turn.connection, check=False) is None
        )

    def _give_up_late(self, done: asyncio.Future[None], turn: _Turn, checkout: Checkout[T]) -> None:
        if not done.cancelled():
            done.exception()  # or it would be told as never looked at
        self._give_up(turn, checkout)

    def _ask(self, turn: _Turn) -> float:
        """Give a place to whoever asks, or let it stand in line."""
        if self._closed:
            raise ConnectionsClosedError(pool=self.name, owner=turn.owner)
        if self._per_owner is not None:
            held = self._held_by(turn.owner)
            if held >= self._per_owner:
                self._counts["refused"] += 1
                raise ConnectionLimitError(pool=self.name, owner=turn.owner, held=held, limit=self._per_owner)
        if not self._place(turn):
            turn.wait_in_line()
            self._waiting.append(turn)
        return self._now()

    def _held_by(self, owner: str) -> int:
        """How many it has, and those it is about to have or waits for: what is promised is taken."""
        return (
            sum(out.owner == owner for out in self._out.values())
            + sum(turn.owner == owner for turn in self._turns)
            + sum(turn.owner == owner for turn in self._waiting)
        )

    def _place(self, turn: _Turn) -> bool:
        """Give it an idle connection, or the place for a new one, where there is such."""
        if self._idle:
            turn.connection = self._idle[-1]
            self._turns[turn] = None
            self._idle.pop()
            return True
        if len(self._out) + len(self._turns) < self.most:
            self._turns[turn] = None
            return True
        return False

    def _serve(self) -> None:
        """Places that are free now are for those who wait, whoever came first."""
        while self._waiting and not self._closed:
            turn = self._waiting[0]
            if not self._place(turn):
                return
            turn.wake()
            self._waiting.popleft()

    def _after_waiting(self, turn: _Turn, began: float) -> None:
        """Go on where a place was given. Raises ConnectionsExhaustedError, ConnectionsClosedError."""
        if turn in self._turns:
            return
        self.settle()  # of those who were dropped, perhaps
        error = self._locked("acquire()", self._last_look, turn, began)
        if error is not None:
            raise error

    def _last_look(self, turn: _Turn, began: float) -> Exception | None:
        if self._closed:
            return ConnectionsClosedError(pool=self.name, owner=turn.owner)
        self._serve()
        if turn in self._turns:
            return None
        self._waiting.remove(turn)
        self._counts["refused"] += 1
        now, outs = self._now(), self._out.values()
        oldest = min(outs, key=lambda out: out.since, default=None)
        return ConnectionsExhaustedError(
            pool=self.name,
            owner=turn.owner,
            most=self.most,
            waited=now - began,
            holders=tuple(Counter(out.owner for out in outs).most_common(_MOST_NAMED)),
            oldest=None if oldest is None else site(oldest.code, oldest.offset),
            oldest_age=0.0 if oldest is None else now - oldest.since,
        )

    def _make_ready(self, turn: _Turn, checkout: Checkout[T], code: CodeType, offset: int) -> None:
        """Have a connection that works, and hand it out."""
        while turn.connection is not None:
            why = self._why_not(turn.connection, check=True)
            if why is None:
                break
            self._shut(turn, why)
            self._locked("acquire()", self._another, turn)
        if turn.connection is None:
            try:
                made = self._connect()
            except BaseException:
                self._counts["failed"] += 1
                raise
            turn.connection = _Connection(made, self._now(), self.epoch)
            self._counts["made"] += 1
        self._locked("acquire()", self._hand_out, turn, checkout, code, offset)

    def _another(self, turn: _Turn) -> None:
        if self._idle:
            turn.connection = self._idle[-1]
            self._idle.pop()

    def _why_not(self, connection: _Connection, *, check: bool) -> str | None:
        """Why a connection may not be used any more: expired, or broken; None where it may."""
        now = self._now()
        if self._lifetime is not None and now - connection.made >= self._lifetime:
            return "expired"
        if self._most_idle_time is not None and now - connection.used >= self._most_idle_time:
            return "expired"
        if check and self._healthy is not None and now - connection.used >= self._check_after:
            try:
                if not self._healthy(connection.it):
                    return "broken"
            except Exception:
                return "broken"
        return None

    def _hand_out(self, turn: _Turn, checkout: Checkout[T], code: CodeType, offset: int) -> None:
        if self._closed:
            raise ConnectionsClosedError(pool=self.name, owner=turn.owner)
        if turn.connection is None or turn not in self._turns:
            raise RuntimeError(f"pool {self.name!r}: a turn without a place")  # in a child that was forked meanwhile
        self._last_number = number = self._last_number + 1
        out = _Out(turn.owner, turn.connection, self._now(), code, offset)
        out.dropped = dropped = Dropped(checkout, self._orphans.append)
        dropped.number = number
        self._out[number] = checkout._out = out
        checkout.number = number
        turn.connection = None
        del self._turns[turn]
        self._counts["checkouts"] += 1
        self._most_busy = max(self._most_busy, len(self._out))

    def _give_up(self, turn: _Turn, checkout: Checkout[T]) -> None:
        """It did not come to a checkout: close what was made, and let others have the place."""
        if checkout.number:
            self._come_back(checkout.number, keep=True)
        self._end_turn(turn)

    def _end_turn(self, turn: _Turn, why: str = "") -> None:
        """Close what is in its hands, and let others have its place."""
        try:
            if turn.connection is not None:
                self._shut(turn, why)
        finally:
            self._locked("release()", self._leave, turn)

    def _leave(self, turn: _Turn) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        self._turns.pop(turn, None)
        self._serve()

    def _shut(self, turn: _Turn, why: str) -> None:
        """Close what is in its hands, outside of the lock."""
        connection, turn.connection = turn.connection, None
        if connection is None:
            return
        if why:
            self._counts[why] += 1
        if connection.epoch != self.epoch:
            self._abandoned.append(connection)
            return
        try:
            self._close_one(connection.it)
        except Exception as error:
            self._problems.append((self.name, f"{type(error).__name__}: {error}"))

    # -- giving back -------------------------------------------------------------------------------------------------

    def breaks(self, kind: type[BaseException]) -> bool:
        """Whether an error of that class leaves a connection in a state that nobody knows."""
        return issubclass(kind, self._broken_by) or not issubclass(kind, Exception)

    def give_back(self, checkout: Checkout[T], *, keep: bool) -> None:
        """What ``Checkout.release`` and ``discard`` do."""
        if checkout._epoch != self.epoch:  # taken by the parent, and its connection is the parent's
            checkout.number = 0
            return
        number = checkout.number
        if number not in self._out:
            raise self.released(checkout._out)
        if self._is_inside():
            self._inbox.append((number, keep))
            checkout.number = 0
            return
        was_there = self._come_back(number, keep=keep)
        checkout.number = 0
        if self._inbox:
            self.settle()
        if not was_there:
            raise self.released(checkout._out)  # another thread was faster

    def _come_back(self, number: int, *, keep: bool, why: str = "broken") -> bool:
        """Take one back from whoever has it, to keep it where it is of use; false where it was back before."""
        turn = _Turn("")
        try:
            reset = self._locked("release()", self._take_back, number, keep, turn)
            if reset is None:
                return False
            if reset and self._reset is not None and turn.connection is not None:
                try:
                    self._reset(turn.connection.it)
                except Exception:
                    return True  # it is closed below
                self._locked("release()", self._keep, turn)
                why = ""
            elif turn.connection is not None and keep:
                why = self._why_not(turn.connection, check=False) or ""
            return True
        finally:
            if turn in self._turns or turn.connection is not None:
                try:
                    self._end_turn(turn, why)
                except BaseException:  # an interruption, perhaps before it was done
                    self._end_turn(turn, why)
                    raise

    def _take_back(self, number: int, keep: bool, turn: _Turn) -> bool | None:
        """True where it has to be reset, False where it is idle or to be closed, None where it is back already."""
        out = self._out.get(number)
        if out is None:
            return None
        connection = out.connection
        connection.used = self._now()
        keep = keep and not self._closed and self._why_not(connection, check=False) is None
        if keep and self._reset is None and len(self._idle) < self._most_idle:
            self._idle.append(connection)
            del self._out[number]
            out.dropped = None  # nobody is told of it any more
            self._serve()
            return False
        turn.connection = connection
        self._turns[turn] = None
        del self._out[number]
        out.dropped = None
        return keep and self._reset is not None

    def _keep(self, turn: _Turn) -> None:
        """Have it among the idle ones, where there is room; else it stays in the hands of the turn."""
        if turn.connection is not None and not self._closed and len(self._idle) < self._most_idle:
            self._idle.append(turn.connection)
            turn.connection = None
            self._turns.pop(turn, None)
            self._serve()

    def settle(self) -> None:
        """Take back what was noted to be given back, and close what was lost; done by every call of the pool."""
        while self._inbox and not self._is_inside():
            try:
                number, keep = self._inbox[0]  # and out of there when all is done: no interruption loses it
            except IndexError:  # another thread's by now
                break
            self._come_back(number, keep=keep)
            if (number, keep) in self._inbox:
                self._inbox.remove((number, keep))
        while self._orphans and not self._is_inside():
            try:
                dropped = self._orphans[0]
            except IndexError:
                break
            out = self._out.get(dropped.number)
            if out is not None and self._come_back(dropped.number, keep=False, why="leaked"):
                keep_lost(self.record_of(dropped.number, out), self._leaked, self._on_leak)
            if dropped in self._orphans:
                self._orphans.remove(dropped)

    def release_owner(self, owner: str) -> int:
        """Close all that an owner has, also under whoever uses it; returns how many there were."""
        numbers = [number for number, out in self._locked("release_owner()", self._copy) if out.owner == owner]
        return sum(self._come_back(number, keep=False) for number in numbers)

    def _copy(self) -> list[tuple[int, _Out]]:
        return list(self._out.items())

    # -- looking -----------------------------------------------------------------------------------------------------

    def check(self) -> int:
        """Close those of the idle ones that are expired or broken; returns how many there were."""
        self.settle()
        ended = 0
        for _ in range(len(self._idle)):
            turn = _Turn("")
            why = ""
            try:
                if not self._locked("check()", self._take_oldest, turn) or turn.connection is None:
                    break
                why = self._why_not(turn.connection, check=True) or ""
                if not why:
                    self._locked("check()", self._keep, turn)
                else:
                    ended += 1
            finally:
                if turn in self._turns or turn.connection is not None:
                    try:
                        self._end_turn(turn, why)
                    except BaseException:  # an interruption, perhaps before it was done
                        self._end_turn(turn, why)
                        raise
        return ended

    def _take_oldest(self, turn: _Turn) -> bool:
        if not self._idle:
            return False
        turn.connection = self._idle[0]
        self._turns[turn] = None
        self._idle.popleft()
        return True

    def checkouts(self, owner: str | None = None) -> tuple[CheckoutRecord, ...]:
        """Those that are out now, oldest first."""
        found = self._locked("checkouts()", self._copy)
        return tuple(self.record_of(number, out) for number, out in found if owner in (None, out.owner))

    def leaked(self) -> tuple[CheckoutRecord, ...]:
        """Those that were lost without being given back: the last thousand, with the place each was taken at."""
        self.settle()
        return tuple(self._leaked)

    def record_of(self, number: int, out: _Out) -> CheckoutRecord:
        """A checkout as plain values."""
        seconds = max(self._now() - out.since, 0.0)
        return CheckoutRecord(number, self.name, out.owner, seconds, location(out.code, out.offset))

    def released(self, out: _Out) -> ConnectionReleasedError:
        """What whoever uses it gets after it was given back."""
        return ConnectionReleasedError(pool=self.name, owner=out.owner, where=site(out.code, out.offset))

    def statistics(self) -> ConnectionStatistics:
        """Of this moment, and since it was made."""
        self.settle()
        return self._locked("statistics()", self._figures)

    def _figures(self) -> ConnectionStatistics:
        counts = self._counts
        return ConnectionStatistics(
            pool=self.name,
            most=self.most,
            open=len(self._idle) + len(self._out) + len(self._turns),
            busy=len(self._out),
            idle=len(self._idle),
            waiting=len(self._waiting),
            most_busy=self._most_busy,
            checkouts=counts["checkouts"],
            made=counts["made"],
            broken=counts["broken"],
            expired=counts["expired"],
            leaked=counts["leaked"],
            refused=counts["refused"],
            failed=counts["failed"],
        )

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> tuple[CheckoutRecord, ...]:
        """Close all idle ones, lend nothing more, and wake whoever waits; returns those that are out still.

        Those are closed when they are given back. Raises ResourcesNotClosedError, when all is done, with what failed
        to close since the last call.
        """
        self.settle()
        self._locked("close()", self._end)
        closed = 0
        while True:
            turn = _Turn("")
            try:
                if not self._locked("close()", self._take_oldest, turn):
                    break
            finally:
                if turn in self._turns or turn.connection is not None:
                    try:
                        self._end_turn(turn)
                    except BaseException:  # an interruption, perhaps before it was done
                        self._end_turn(turn)
                        raise
            closed += 1
        problems = tuple(self._problems)
        self._problems.clear()
        if problems:
            raise ResourcesNotClosedError(owner=self.name, closed=max(closed - len(problems), 0), problems=problems)
        return self.checkouts()

    def _end(self) -> None:
        self._closed = True
        for turn in self._waiting:
            turn.wake()

    def _renew(self) -> None:
        """In a forked child: nothing of the parent's is used, or closed."""
        self._lock, self._holder = allocate_lock(), 0
        self.epoch += 1
        self._abandoned.extend(self._idle)
        self._abandoned.extend(out.connection for out in self._out.values())
        self._abandoned.extend(turn.connection for turn in self._turns if turn.connection is not None)
        self._idle.clear()
        self._out.clear()
        self._turns.clear()
        self._waiting.clear()
        self._inbox.clear()
        self._orphans.clear()

    def __enter__(self) -> ConnectionPool[T]:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed, " if self._closed else ""
        return f"<ConnectionPool {self.name!r}: {state}{len(self._out)} busy, {len(self._idle)} idle, of {self.most}>"


__all__ = ["BROKEN_BY", "Checkout", "ConnectionPool"]
