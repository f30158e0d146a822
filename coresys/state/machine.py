"""One state machine: thread-safe, cheap to make, read without a lock.

Invariants, and what holds them:

- *Where a machine stands is one reference*, ``_last``: the tuple of its last transition. It is stored at once, so that
  readers without the lock see the old state or the new one, with the number that belongs to it; and so that an
  exception out of nowhere (a signal's) between two instructions cannot leave half a transition. The history follows
  it: an entry that such an exception kept from being added is added with the next one.
- *Only the thread that holds ``_lock`` stores ``_last``.* ``_owner`` is the identity of that thread while it holds the
  lock; a thread that finds its own there is inside a guard, an observer, a finalizer or a signal handler that this
  machine's transition was interrupted by: its event is queued, for waiting would be for itself.
- *Nothing is published that may be undone*: guards, validators, observers inside the transaction and the store come
  before ``_last`` is stored. Undoing is forgetting.
- Locks of several machines are taken in the order of their identities (``together``), and no lock is held while
  observers that are not inside run, nor over an ``await``.
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextvars import Token
from inspect import isawaitable
from typing import Any, NoReturn, TypeVar

from coresys.errors.hierarchy import (
    GUARDED_OFF,
    ObserverFailedError,
    RollbackError,
    StateError,
    StoreError,
    TransitionFailedError,
    TransitionRefusedError,
)
from coresys.forks import renew_in_children
from coresys.state import making
from coresys.state.history import Entry, Ring
from coresys.state.making import (
    NOBODY,
    Event,
    Extra,
    Failure,
    Made,
    Telling,
    cut_short,
    inside_now,
    log,
    not_run,
    note,
    publish_all,
    telling,
)
from coresys.state.scope import ALONE, Scope
from coresys.state.store import StateStore
from coresys.state.table import ERROR, ROLLBACK, Edge, Observer, TransitionTable, Trigger, is_async, name_of
from coresys.system_records import MachineRecord, PendingTimer, TransitionRecord

T = TypeVar("T")

MOST_SNAPSHOTS = 1000


class Machine:
    """A state machine over a shared table. Any thread may use it.

    >>> from coresys.state import Machine, State, TransitionTable, on
    >>> door = TransitionTable(
    ...     "door",
    ...     states=[State("closed", initial=True), State("open")],
    ...     transitions=[on("open", "closed", "open"), on("close", "open", "closed")],
    ... )
    >>> front = Machine(door, "front door")
    >>> front.fire("open")
    'open'
    >>> front.state, front.sequence
    ('open', 1)

    A machine made like this is on its own: its history is in memory, nobody else sees it. ``StateManager.add`` makes
    machines that are held, watched, stored, and may have timers.
    """

    __slots__ = ("__weakref__", "_extra", "_history", "_last", "_lock", "_owner", "_scope", "_table", "name")

    def __init__(self, table: TransitionTable, name: str = "", *, scope: Scope = ALONE) -> None:
        if table.timed and scope.timers is None:
            raise ValueError(f"table {table.name!r} has timers: machines of it are made by StateManager.add")
        self.name = name or table.name
        self._table = table
        self._scope = scope
        self._last: Entry = table.beginning
        self._history: Ring | None = None
        self._extra: Extra | None = None
        self._lock = allocate_lock()
        self._owner = 0

    # -- reading: without a lock -------------------------------------------------------------------------------------

    @property
    def table(self) -> TransitionTable:
        """The table that this machine follows."""
        return self._table

    @property
    def state(self) -> str:
        """The state it is in now. Takes no lock and never waits."""
        return self._last[4]

    @property
    def sequence(self) -> int:
        """How many transitions it has made."""
        return self._last[0]

    @property
    def last(self) -> TransitionRecord:
        """The last transition; of a machine that made none, number 0, whose event and source are empty."""
        return self._record(self._last)

    @property
    def final(self) -> bool:
        """Whether nothing leads out of the state it is in."""
        return self._table.states[self._last[4]].final

    def is_in(self, state: str) -> bool:
        """Whether it is in that state, or in a part of it."""
        return state in self._table.within(self._last[4])

    @property
    def allowed(self) -> tuple[str, ...]:
        """The events that are declared in the state it is in; guards are not asked."""
        return self._table.events(self._last[4])

    def history(self, last: int | None = None) -> tuple[TransitionRecord, ...]:
        """The last transitions, oldest first: as many as memory is to keep, or ``last``; with a store, from there."""
        entries = tuple(self._kept() if self._holds() else self._locked(self._kept))
        wanted = self._scope.history_count if last is None else last
        older = not entries or entries[0][0] > 1
        if self._scope.store is not None and older and len(entries) < wanted:
            try:
                return self._scope.store.history(self.name, last=wanted)
            except StoreError:  # closed, say: what is in memory can be read all the same
                pass
        if last is not None:
            entries = entries[max(0, len(entries) - last) :]
        return tuple(self._record(entry) for entry in entries)

    def __repr__(self) -> str:
        return f"<Machine {self.name} ({self._table.name}): {self.state}, {self.sequence} transitions>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"machine {self.name!r} holds a lock and cannot be copied or pickled; "
            "keep its name, and the state in a store"
        )

    # -- firing ------------------------------------------------------------------------------------------------------

    def fire(
        self, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> str | None:
        """Make the transition that ``event`` leads to, and return the state it led to.

        ``payload`` is for guards, validators and observers; ``cause`` and ``actor`` stand in the history. Fired from
        inside a transition of this same machine (by an observer, say), the event is queued until that one is through,
        and None is returned.

        Raises TransitionRefusedError when the event is not declared here, guarded off, or its payload not valid:
        nothing changed. TransitionFailedError when a guard, an observer inside or the store raised: it was undone.
        ObserverFailedError when it was made, and an observer raised after that.
        """
        me = get_ident()
        if (self._owner == me and self._holds()) or (
            self._extra is not None and self._extra.telling and self._frame() is not None
        ):
            self._queue(Event(event, payload, cause, actor))
            return None
        if cause is not None or actor is not None:
            _check_texts(cause, actor)
        # Read without the lock: it may be that of before a reload, and then does not end with ``last``.
        history = self._history
        if history is None:
            self._enrol()
        try:
            with self._lock:
                self._owner = me
                try:
                    last = self._last
                    edge = self._table._edges[last[4]].get(event)
                    if edge is not None and edge.plain and self._scope.plain:
                        # The quick way: what _publish does, without a call.
                        target = edge.target
                        entry = (last[0] + 1, self._scope.time(), event, last[4], target, cause, actor)
                        if (
                            history is None
                            or cause is not None
                            or actor is not None
                            or history[-1] is not last
                            or history.texts
                        ):
                            self._publish(entry)
                        else:
                            self._last = entry
                            history.append(entry)
                        if self._extra is None or not self._extra.queue:
                            return target
                        made = Made(self, NOBODY, Trigger(self, event, last[4], payload, cause, actor), entry, last)
                    else:
                        made = self._transact(edge, Trigger(self, event, last[4], payload, cause, actor))
                finally:
                    self._owner = 0
        except BaseException as error:
            self._drain(error)
            raise
        if (
            made.edge.later
            or made.queued
            or made.error is not None
            or not made.scope.plain
            or (self._extra is not None and self._extra.queue)
        ):
            self._tell(made)
        return made.entry[4]

    async def fire_async(
        self, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> str | None:
        """As ``fire``, and awaits observers that are asynchronous, one after the other in their declared order.

        The transition itself is made at once, before the first await; no lock is held over one. When the task is
        cancelled while observers are told, the transition stands: observers that follow are called if they are plain
        functions, events that were queued are made, and ``ObserverFailedError`` (to ``on_error``, or noted on what is
        raised) says which ones were not called because nobody awaits them any more.
        """
        now = self._now_or_queued(Event(event, payload, cause, actor))
        if now is None:
            return None
        made = self._make(now, asynchronous=True)
        await self._tell_async(made)
        return made.entry[4]

    def fire_recorded(
        self, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> TransitionRecord | None:
        """As ``fire``, and returns the record of the transition that was made."""
        now = self._now_or_queued(Event(event, payload, cause, actor))
        if now is None:
            return None
        made = self._make(now)
        self._tell(made)
        return self._record(made.entry)

    def describe(self) -> MachineRecord:
        """Where it stands, with the timers that are armed and the snapshots that are kept."""

        def look() -> MachineRecord:
            last = self._last
            extra = self._extra
            return MachineRecord(
                name=self.name,
                table=self._table.name,
                state=last[4],
                sequence=last[0],
                since=last[1],
                last=self._record(last) if last[2] else None,
                timers=() if extra is None else tuple(extra.timers.values()),
                snapshots=() if extra is None else tuple((label, *where) for label, where in extra.snapshots.items()),
            )

        return look() if self._holds() else self._locked(look)

    def can(self, event: str, payload: Any = None) -> bool:
        """Whether ``event`` would be taken now: asks guards and validators, under the lock, and changes nothing.

        What they raise that is no refusal comes out as it is.
        """
        return self._locked(lambda: self._would(event, payload))

    def _would(self, event: str, payload: Any) -> bool:
        edge = self._table._edges[self._last[4]].get(event)
        if edge is None:
            return False
        trigger = Trigger(self, event, self._last[4], payload, None, None)
        chosen = self._choose(edge, trigger)
        return chosen is not None and self._objection(chosen, trigger) is None

    def rollback(
        self,
        steps: int | None = None,
        *,
        to_sequence: int | None = None,
        to_snapshot: str | None = None,
        cause: str | None = None,
        actor: str | None = None,
    ) -> str:
        """Go back to an earlier state, and return it: some steps, to where a number had led, or to a named snapshot.

        Going back is itself a transition, with the next number and the event ``rollback``: the history is not
        rewritten, and another ``rollback(1)`` takes this one back. Guards and the observers of states are not called;
        watchers and the store see it; timers of states that are entered count anew. Without arguments: one step.

        Raises RollbackError where there is nothing to go back to.
        """
        if sum(each is not None for each in (steps, to_sequence, to_snapshot)) > 1:
            raise ValueError("rollback takes one of steps, to_sequence and to_snapshot")

        _check_texts(cause, actor)

        def back() -> Made:
            if self._scope.released:
                raise RollbackError(machine=self.name, wanted="an earlier state", problem="the machine was released")
            target = self._earlier(steps, to_sequence, to_snapshot)
            source = self._last[4]
            edge = self._table.move(ROLLBACK, source, target, told=False)
            began = self._began()
            made = self._entered(edge, Trigger(self, ROLLBACK, source, None, cause, actor), began)
            try:
                self._keep((made,))
            except Failure as failure:
                return self._failed(failure, began)
            return made

        made = self._locked(back)
        self._tell(made)
        return made.entry[4]

    def snapshot(self, label: str) -> int:
        """Keep where the machine stands under a name, to go back to; returns its sequence number.

        A label that exists is written anew. Raises StateError where there are too many of them (1,000): they are read
        at each start, and nothing else ends them but ``drop_snapshot``.
        """

        def keep() -> int:
            if self._scope.released:
                raise StateError(f"{self.name}: the machine was released")
            last = self._last
            held = {} if self._extra is None else self._extra.snapshots
            if label not in held and len(held) >= MOST_SNAPSHOTS:
                raise StateError(f"{self.name}: it has {len(held)} snapshots already; drop_snapshot those not wanted")
            if self._scope.store is not None:
                self._scope.store.snapshot(self.name, label, last[4], last[0])
            self._more().snapshots[label] = (last[4], last[0])
            return last[0]

        return self._locked(keep)

    def drop_snapshot(self, label: str) -> bool:
        """Keep a snapshot no longer; False where there is none of that name."""

        def drop() -> bool:
            if self._scope.released:
                raise StateError(f"{self.name}: the machine was released")
            extra = self._extra
            if extra is None or label not in extra.snapshots:
                return False
            if self._scope.store is not None:
                self._scope.store.drop_snapshot(self.name, label, self._last[0])
            del extra.snapshots[label]
            return True

        return self._locked(drop)

    # -- the transaction: under the lock -----------------------------------------------------------------------------

    def _locked(self, work: Callable[[], T]) -> T:
        """Call ``work`` with the lock held; then make what was fired meanwhile, if the work itself did not.

        ``with`` on the lock itself, and nothing in between: an exception that a signal raises cannot leave it held.
        """
        if self._holds():
            raise StateError(f"{self.name}: asked for from inside a transition of its own")
        me = get_ident()  # not inside the block: after a call a signal's handler may come, and has to find its thread
        if self._history is None:
            self._enrol()
        try:
            with self._lock:
                self._owner = me
                try:
                    result = work()
                finally:
                    self._owner = 0
        except BaseException as error:
            self._drain(error)
            raise
        self._drain(None)
        return result

    def _make(self, event: Event, *, asynchronous: bool = False) -> Made:
        """One transition, with the lock taken for it; whoever is to be told has not been yet."""

        def work() -> Made:
            source = self._last[4]
            trigger = Trigger(self, event.name, source, event.payload, event.cause, event.actor)
            return self._transact(self._table._edges[source].get(event.name), trigger, asynchronous=asynchronous)

        return self._locked(work)

    def _transact(self, edge: Edge | None, trigger: Trigger, *, asynchronous: bool = False) -> Made:
        """Ask, run what belongs inside, store, publish. What failed comes back as a transition to the error state,
        if there is one, with the error in it."""
        began = self._began()
        try:
            made = self._prepare(edge, trigger, began, asynchronous=asynchronous)
            self._keep((made,))
        except Failure as failure:
            return self._failed(failure, began)
        return made

    def _prepare(self, edge: Edge | None, trigger: Trigger, began: float, *, asynchronous: bool) -> Made:
        """Everything before storing and publishing; raises a refusal, or a Failure."""
        event = trigger.event
        if self._scope.released:
            raise self._refusal(event, "the machine was released")
        if edge is None:
            raise self._refusal(event, "it is not declared there")
        chosen = edge
        if edge.guards or edge.validators:
            try:
                guarded = self._choose(edge, trigger)
            except Exception as error:
                raise Failure("guard", error, trigger) from error
            if guarded is None:
                raise self._refusal(event, GUARDED_OFF)
            chosen = guarded
            objection = self._objection(chosen, trigger) if chosen.validators else None
            if objection is not None:
                reason = f"its payload is not valid: {type(objection).__name__}: {objection}"
                try:
                    raise self._refusal(event, reason) from objection
                finally:
                    del objection  # or this frame, which its traceback leads to, would keep it
        if chosen.asynchronous and not asynchronous:
            raise self._refusal(event, "it has asynchronous observers: fire it by 'await fire_async(...)'")
        made = self._entered(chosen, trigger, began)
        if chosen.within:
            try:
                self._run_within(chosen, trigger)
            except BaseException as error:
                if self._extra is not None:
                    self._extra.drop_dependent()
                if isinstance(error, Exception):
                    raise Failure("observer", error, trigger) from error
                raise
        return made

    def _run_within(self, edge: Edge, trigger: Trigger) -> None:
        """The observers inside: what they fire depends on this transition, and falls with it."""
        me = get_ident()
        nested = me in inside_now
        try:
            inside_now.add(me)
            for observer in edge.within:
                answer = observer(trigger)
                if answer is not None and isinstance(answer, Coroutine):
                    raise not_run(answer, observer, "an observer inside")
        finally:
            if not nested:
                inside_now.discard(me)

    def _choose(self, edge: Edge, trigger: Trigger) -> Edge | None:
        """The first edge whose guards all say yes."""
        at: Edge | None = edge
        while at is not None:
            trigger._target = at.target
            for guard in at.guards:
                answer = guard(trigger)
                if answer is not True:
                    if not answer:
                        break
                    if isawaitable(answer):  # which is true, whatever would come out of it
                        raise not_run(answer, guard, "a guard")
            else:
                return at
            at = at.otherwise
        return None

    def _objection(self, edge: Edge, trigger: Trigger) -> Exception | None:
        for validator in edge.validators:
            try:
                answer: object = validator(trigger)
                if answer is not None and isawaitable(answer):
                    return not_run(answer, validator, "a validator")
            except Exception as error:
                return error
        return None

    def _entered(self, edge: Edge, trigger: Trigger, began: float) -> Made:
        """The transition as it would be published."""
        before = self._last
        trigger._target = edge.target
        trigger._sequence = sequence = before[0] + 1
        trigger._time = now = self._scope.time()
        entry = (sequence, now, trigger._event, before[4], edge.target, trigger._cause, trigger._actor)
        made = Made(self, edge, trigger, entry, before, began)
        extra = self._extra
        if edge.exited or edge.armed or (extra is not None and extra.spent is not None):
            made.timers = {
                key: timer
                for key, timer in ({} if extra is None else extra.timers).items()
                if timer.state not in edge.exited and timer is not (None if extra is None else extra.spent)
            }
            made.armed = tuple(PendingTimer(state, name, now + delay) for state, name, delay in edge.armed)
            made.timers.update(((timer.state, timer.event), timer) for timer in made.armed)
        return made

    def _keep(self, all_made: Sequence[Made]) -> None:
        """Store, then publish: all of them, of this machine and of others whose locks are held too, or none."""
        store = self._scope.store
        if store is None:
            if self._scope.sink is not None:
                self._note_end(all_made)
            publish_all(all_made)
            return
        records = [made.machine._record(made.entry) for made in all_made]
        timers = {made.machine.name: tuple(made.timers.values()) for made in all_made if made.timers is not None}
        try:
            try:
                store.append(records, timers or None)
            except Exception as error:
                raise Failure("store", error, all_made[0].trigger) from error
            if self._scope.sink is not None:
                self._note_end(all_made)
            publish_all(all_made)
        except Failure:
            raise
        except BaseException:  # a signal's, perhaps after it was stored
            self._follow_store(store, all_made)
            raise

    def _follow_store(self, store: StateStore, all_made: Sequence[Made]) -> None:
        """What the store holds is what happened. Asked until it answers: this may be interrupted as well."""
        while True:
            try:
                held = store.history(self.name, last=1)
                if held and held[-1].sequence >= all_made[0].entry[0]:
                    publish_all(all_made)
                return
            except StoreError:
                return
            except Exception:
                log.exception("%s: the store could not be asked whether it has what was interrupted", self.name)
                return
            except BaseException:
                continue

    def _publish(self, entry: Entry) -> None:
        last = self._last
        history = self._history
        if history is None:
            history = Ring((last,) if last[0] else (), self._scope.history_count, self._scope.history_bytes)
        elif history[-1] is not last:
            history.add(last)  # what an interruption kept from being added
        self._last = entry  # from here on it has happened
        if entry[5] is None and entry[6] is None and not history.texts:
            history.append(entry)
        else:
            history.add(entry)
        self._history = history

    def _failed(self, failure: Failure, began: float) -> Made:
        """Nothing was published. Go to the declared error state, if there is one, and bring the error along."""
        cause = failure.error
        source = self._last[4]
        problem = f"{type(cause).__name__}: {cause}"
        state = source
        made: Made | None = None
        error_state = self._table.error_state
        self._scope.count_failed()
        # A store that fails would fail again; and who is in the error state stays there.
        if error_state is not None and failure.phase != "store" and source != error_state:
            event = failure.trigger.event
            trigger = Trigger(
                self, ERROR, source, failure.trigger.payload, f"{event}: {problem}", failure.trigger.actor
            )
            edge = self._table.move(ERROR, source, error_state, told=True)
            try:
                made = self._entered(edge, trigger, began)
                self._run_within(edge, trigger)
                self._keep((made,))
                state = error_state
            except Failure as second:
                made = None
                problem += f"; the error state could not be stored: {second.error}"
            except Exception as second:
                made = None
                if self._extra is not None:
                    self._extra.drop_dependent()
                problem += f"; entering the error state raised {type(second).__name__}: {second}"
        error = TransitionFailedError(
            machine=self.name,
            source=source,
            event=failure.trigger.event,
            phase=failure.phase,
            problem=problem,
            state=state,
        )
        error.__cause__ = cause
        try:
            if made is None:
                raise error
            made.error = error
            return made
        finally:
            del error, cause, failure  # or the frame and the exception would keep each other

    def _refusal(self, event: str, reason: str) -> TransitionRefusedError:
        self._scope.count_refused()
        state = self._last[4]
        return TransitionRefusedError(
            machine=self.name, state=state, event=event, reason=reason, allowed=self._table.events(state)
        )

    def _earlier(self, steps: int | None, to_sequence: int | None, to_snapshot: str | None) -> str:
        state = self._state_then(steps, to_sequence, to_snapshot)
        if state not in self._table._edges:
            problem = f"table {self._table.name!r} no longer has state {state!r}"
            raise RollbackError(machine=self.name, wanted="an earlier state", problem=problem)
        return state

    def _state_then(self, steps: int | None, to_sequence: int | None, to_snapshot: str | None) -> str:
        if to_snapshot is not None:
            held = {} if self._extra is None else self._extra.snapshots
            if to_snapshot not in held:
                problem = f"there are {', '.join(map(repr, held)) or 'none'}"
                raise RollbackError(machine=self.name, wanted=f"snapshot {to_snapshot!r}", problem=problem)
            return held[to_snapshot][0]
        sequence = self._last[0] - (1 if steps is None else steps) if to_sequence is None else to_sequence
        wanted = (
            f"number {sequence}"
            if steps is None and to_sequence is not None
            else f"{1 if steps is None else steps} steps before"
        )
        if not 0 <= sequence < self._last[0] or (steps is not None and steps < 1):
            raise RollbackError(machine=self.name, wanted=wanted, problem=f"it has made {self._last[0]} transitions")
        entries = {entry[0]: (entry[3], entry[4]) for entry in self._kept()}
        if sequence not in entries and sequence + 1 not in entries and self._scope.store is not None:
            missing = self._last[0] - sequence
            entries = {
                record.sequence: (record.source, record.target)
                for record in self._scope.store.history(self.name, last=missing)
            }
        if sequence in entries:
            return entries[sequence][1]
        if sequence + 1 in entries:
            return entries[sequence + 1][0]
        oldest = min(entries, default=self._last[0])
        raise RollbackError(machine=self.name, wanted=wanted, problem=f"the history that is kept begins with {oldest}")

    # -- for the manager ---------------------------------------------------------------------------------------------

    def _is_armed(self, timer: PendingTimer) -> bool:
        return self._extra is not None and self._extra.timers.get((timer.state, timer.event)) is timer

    def _fire_due(self, timer: PendingTimer) -> bool:
        """Make the transition of a timer if it is still armed, which is looked at under the lock; True if it was.

        It is spent then, also where guards say no; but not where the store could not keep it.
        """

        def work() -> Made | None:
            if not self._is_armed(timer):
                return None
            extra = self._more()
            edge = self._timed_edge(timer)
            try:
                extra.spent = timer
                trigger = Trigger(self, timer.event, self._last[4], None, f"timer of {timer.state!r}", None)
                made = self._transact(edge, trigger)
            except TransitionFailedError as error:
                if error.phase != "store":
                    self._spend(timer)
                raise
            except TransitionRefusedError:
                self._spend(timer)
                raise
            finally:
                extra.spent = None
            self._spend(timer)
            return made

        made = self._locked(work)
        if made is not None:
            self._tell(made)
        return made is not None

    def _timed_edge(self, timer: PendingTimer) -> Edge | None:
        """The edge of a timer: not of one of the same name that another state of the path declares."""
        edge = self._table._edges[self._last[4]].get(timer.event)
        while edge is not None:
            declared = edge.transition
            if declared is None or declared.delay is None or declared.source == timer.state:
                return edge
            edge = edge.otherwise
        return None

    def _spend(self, timer: PendingTimer) -> None:
        extra = self._more()
        extra.timers = {key: each for key, each in extra.timers.items() if each is not timer}

    def _take_up(self, record: MachineRecord) -> None:
        """Stand where a machine is to begin, or where a stored one stood. For one that nobody else knows yet."""
        if record.snapshots:
            self._more().snapshots = {label: (state, sequence) for label, state, sequence in record.snapshots}
        if record.timers:
            self._more().timers = {(timer.state, timer.event): timer for timer in record.timers}
        last = record.last
        if last is not None:
            self._last = (
                last.sequence, last.time, last.event, last.source, last.target, last.cause, last.actor,
            )  # fmt: skip
        else:  # of one that made none, since when it is where it begins
            self._last = (record.sequence, record.since, "", "", record.state, None, None)

    def _reload(self, find: Callable[[], MachineRecord]) -> MachineRecord:
        """Stand where the record that ``find`` returns says. It is asked under the lock: nothing is fired between."""

        def work() -> MachineRecord:
            if self._scope.released:
                raise StateError(f"{self.name}: the machine was released")
            record = find()
            extra = self._extra
            if extra is not None:
                extra.snapshots, extra.timers = {}, {}
            self._history = None  # what it has is of another past
            self._take_up(record)
            return record

        return self._locked(work)

    def _release(self, gone: Scope, *, keep: bool) -> bool:
        """Forget it in the store; from now on every event is refused. False where that was done before."""

        def work() -> bool:
            if self._scope.released:
                return False
            if self._scope.store is not None and not keep:
                self._scope.store.forget(self.name, self._last[0])
            renew_in_children(self, Machine._after_fork)  # the manager sees to it no longer
            self._scope = gone
            if self._extra is not None:
                self._extra.timers = {}
            return True

        return self._locked(work)

    def _enrol(self) -> None:
        """See to it that no forked child finds the lock held by a thread of the parent's.

        Done before the lock is taken for the first time, and not when a machine is made, which is to be cheap; where it
        has a manager, that sees to it.
        """
        if self._scope.timers is None:
            renew_in_children(self, Machine._after_fork)

    def _after_fork(self) -> None:
        self._lock = allocate_lock()
        self._owner = 0
        if self._extra is not None:
            self._extra.telling.clear()
            self._extra.queue.clear()

    # -- telling: without the lock -----------------------------------------------------------------------------------

    def _tell(self, made: Made) -> None:
        """Tell everybody, then make the events that they fired; raises what came of it.

        Who interrupts (``sys.exit()`` in an observer, a signal, being cancelled) keeps nobody else from being told, but
        ends the chain of events that fire others: those that wait are made by ``_end_telling``, and he is raised then.
        """
        frame = self._begin_telling(made)
        causes: list[BaseException] = []
        if frame is not None and frame.queue is not None:
            token = None
            try:  # from here on the frame is ended, whatever comes
                token = telling.set(frame)
                self._more().telling.add(frame)
                self._tell_one(made, causes)
                while frame.queue and not cut_short(causes):
                    self._tell_next(frame.queue.popleft(), frame, causes)
            except BaseException as error:
                causes.append(error)
            finally:
                left, frame.queue = frame.queue, None  # first, and no call: a signal could come after one
                self._end_telling(frame, token, left)
        self._finish(made, causes)

    async def _tell_async(self, made: Made) -> None:
        frame = self._begin_telling(made)
        causes: list[BaseException] = []
        if frame is not None and frame.queue is not None:
            token = None
            try:
                token = telling.set(frame)
                self._more().telling.add(frame)
                await self._tell_one_async(made, causes)
                while frame.queue and not cut_short(causes):
                    await self._tell_next_async(frame.queue.popleft(), frame, causes)
            except BaseException as error:
                causes.append(error)
            finally:
                left, frame.queue = frame.queue, None  # first, and no call: a signal could come after one
                self._end_telling(frame, token, left, asynchronous=True)
        self._finish(made, causes)

    def _begin_telling(self, made: Made) -> Telling | None:
        """The frame to tell in; None where there is nobody to tell, and nothing to do."""
        extra = self._extra
        interrupted = extra is not None and bool(extra.queue)
        if not (made.edge.later or made.queued or interrupted or not made.scope.plain):
            return None
        queue = deque(made.queued)
        if interrupted:  # or it is of another thread, inside a transition that may be undone: this waits for it
            queue.extend(self._take_queue())
        return Telling(self, queue)

    def _end_telling(
        self,
        frame: Telling,
        token: Token[Telling | None] | None,
        left: deque[Event] | None,
        *,
        asynchronous: bool = False,
    ) -> None:
        frame.machine = frame.outer = None  # a task that was made by an observer inherited the frame, and lives on
        self._more().telling.discard(frame)
        if token is not None:
            try:
                telling.reset(token)
            except ValueError:  # a coroutine that is closed in another context than it ran in; an ended frame is none
                pass
        if left:
            # Observers were cut short, by a signal or by being cancelled; what they had fired is made all the same.
            self._make_all(left, None, asynchronous=asynchronous)

    def _tell_next(self, event: Event, frame: Telling, causes: list[BaseException]) -> None:
        try:
            made = self._make(event)
        except Exception as error:
            causes.append(error)
            return
        if frame.queue is not None:
            frame.queue.extend(made.queued)
        self._tell_one(made, causes)

    async def _tell_next_async(self, event: Event, frame: Telling, causes: list[BaseException]) -> None:
        try:
            made = self._make(event, asynchronous=True)
        except Exception as error:
            causes.append(error)
            return
        if frame.queue is not None:
            frame.queue.extend(made.queued)
        await self._tell_one_async(made, causes)

    def _tell_one(self, made: Made, causes: list[BaseException]) -> None:
        self._tell_watchers(made, causes)
        observers = made.edge.later
        if made.edge.asynchronous:  # whoever was to await some was cut short
            causes.extend(self._not_awaited(observer) for observer in observers if is_async(observer))
            observers = tuple(observer for observer in observers if not is_async(observer))
        for observer in observers:
            try:
                answer = observer(made.trigger)
                if answer is not None and isinstance(answer, Coroutine):
                    causes.append(not_run(answer, observer, "an observer of 'fire', not 'await fire_async',"))
            except BaseException as error:
                causes.append(error)
        if made.error is not None:
            causes.append(made.error)

    async def _tell_one_async(self, made: Made, causes: list[BaseException]) -> None:
        self._tell_watchers(made, causes)
        unheard = cut_short(causes)
        for observer in made.edge.later:
            if unheard and is_async(observer):
                causes.append(self._not_awaited(observer))
                continue
            try:
                answer = observer(made.trigger)
                if unheard:
                    if isinstance(answer, Coroutine):
                        causes.append(not_run(answer, observer, "an observer"))
                elif isawaitable(answer):
                    await answer
            except Exception as error:
                causes.append(error)
            except BaseException as error:  # cancelled, or closed: it may not await again
                unheard = True
                causes.append(error)
        if made.error is not None:
            causes.append(made.error)

    def _not_awaited(self, observer: Observer) -> StateError:
        problem = "is asynchronous, and whoever would have awaited it was cut short: it was not called"
        return StateError(f"{self.name}: observer {name_of(observer)} {problem}")

    def _tell_watchers(self, made: Made, causes: list[BaseException]) -> None:
        scope = made.scope
        if scope.plain:
            return
        record = self._record(made.entry)
        if scope.sink is not None:
            # Of a bare machine nobody noted since when it was where it begins.
            since = made.entry[1] if made.before is self._table.beginning else made.before[1]
            try:
                scope.sink.transition_made(
                    record, seconds=made.ended - made.began, seconds_in_source=max(0.0, made.entry[1] - since)
                )
            except BaseException as error:
                causes.append(error)
        for watcher in scope.watchers:
            try:
                watcher(record)
            except BaseException as error:
                causes.append(error)

    def _finish(self, made: Made, causes: list[BaseException]) -> None:
        """Raise what the caller has to know: that his transition failed, or that it was made and others raised."""
        error: StateError | None = made.error
        made.error = None
        if error is None and not causes:
            return
        interruption = next((cause for cause in causes if not isinstance(cause, Exception)), None)
        others = [cause for cause in causes if cause is not error and cause is not interruption]
        try:
            if others:
                failed = ObserverFailedError(
                    machine=self.name,
                    event=made.entry[2],
                    source=made.entry[3],
                    target=made.entry[4],
                    sequence=made.entry[0],
                    causes=tuple(others),
                )
                failed.__cause__ = others[0]
                if not self._handed_on(failed):
                    if interruption is not None:
                        note(interruption, str(failed))
                    elif error is None:
                        error = failed
                    else:
                        note(error, str(failed))
                del failed
            if interruption is not None:
                if error is not None and not self._handed_on(error):
                    note(interruption, str(error))
                raise interruption
            if error is not None:
                raise error
        finally:
            # A frame that names an exception which names the frame would keep all of it until a collection.
            causes.clear()
            del error, interruption, others, made

    def _handed_on(self, error: StateError) -> bool:
        """Whether somebody asked for such errors, and took this one."""
        told = self._scope.on_error
        if told is None:
            return False
        try:
            told(error)
        except Exception as second:
            note(error, f"on_error raised {type(second).__name__}: {second}")
            return False
        return True

    def _drain(self, error: BaseException | None) -> None:
        """Make what something fired while the lock was held, and no transition took along."""
        if self._extra is not None and self._extra.queue and not self._holds():
            self._make_all(self._take_queue(), error)

    def _make_all(self, events: Iterable[Event], error: BaseException | None, *, asynchronous: bool = False) -> None:
        """Make events that nobody waits for; what comes of them goes to ``on_error``, or the log.

        ``asynchronous``: those too that have asynchronous observers, which are not called.
        """
        interruption: BaseException | None = None
        for event in events:
            try:
                now = self._now_or_queued(event)
                if now is not None:
                    self._tell(self._make(now, asynchronous=asynchronous))
            except Exception as second:
                if isinstance(second, StateError) and self._handed_on(second):
                    continue
                if error is not None:
                    note(error, f"then {event.name!r}, which had been queued: {type(second).__name__}: {second}")
                log.error("%s: event %r, which had been queued", self.name, event.name, exc_info=second)
            except BaseException as second:  # keeps no other from being made
                interruption = second
        if interruption is not None:
            try:
                raise interruption
            finally:
                del interruption

    # -- small things ------------------------------------------------------------------------------------------------

    def _began(self) -> float:
        return self._scope.clock.now() if self._scope.sink is not None else 0.0

    def _note_end(self, all_made: Sequence[Made]) -> None:
        """What a transition takes ends when it is made: observers take their own time, of it and of others."""
        now = self._scope.clock.now()
        for made in all_made:
            made.ended = now

    def _more(self) -> Extra:
        if self._extra is None:
            fresh = Extra()  # before the lock: no signal is looked for between the two lines below
            with making.making:
                if self._extra is None:
                    self._extra = fresh
        return self._extra

    def _take_queue(self) -> deque[Event]:
        """What was fired by whoever held the lock; taken with the lock, for he may still hold it, and be undone."""
        taken: deque[Event] = deque()
        me = get_ident()
        with self._lock:
            self._owner = me
            try:
                extra = self._extra
                if extra is not None:
                    taken, extra.queue = extra.queue, taken
            finally:
                self._owner = 0
        return taken

    def _holds(self) -> bool:
        """Whether this thread holds the lock. An interruption may have left our identity behind, but not the lock."""
        return self._owner == get_ident() and self._lock.locked()

    def _now_or_queued(self, event: Event) -> Event | None:
        """The event, to be made now; None where it was queued, for this is inside a transition of this machine."""
        if self._holds() or self._frame() is not None:
            self._queue(event)
            return None
        _check_texts(event.cause, event.actor)
        return event

    def _frame(self) -> Telling | None:
        """The transition of this machine whose observers this very task or thread is inside of."""
        frame = telling.get()
        while frame is not None:
            if frame.machine is self and frame.ident == get_ident() and frame.queue is not None:
                return frame
            frame = frame.outer
        return None

    def _queue(self, event: Event) -> None:
        if self._holds():
            inside = get_ident() in inside_now
            self._more().queue.append(event._replace(dependent=True) if inside else event)
            return
        frame = self._frame()
        assert frame is not None
        assert frame.queue is not None
        frame.queue.append(event)

    def _kept(self) -> Iterable[Entry]:
        """The entries in memory, oldest first; with the lock held."""
        last = self._last
        entries = list(self._history or ())
        if last[0] and (not entries or entries[-1] is not last):
            entries.append(last)
        return entries

    def _record(self, entry: Entry) -> TransitionRecord:
        sequence, time, event, source, target, cause, actor = entry
        return TransitionRecord(self.name, self._table.name, sequence, time, event, source, target, cause, actor)


def _check_texts(cause: object, actor: object) -> None:
    """Before anything has happened: the history counts their bytes, and the store writes them."""
    for name, text in (("cause", cause), ("actor", actor)):
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{name} is a str, or None, not {type(text).__name__}")
