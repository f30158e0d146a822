"""The state manager: holds every machine, tells who wants to know, keeps them in a store, runs their timers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal

from coresys.clock import WallClock
from coresys.errors.hierarchy import (
    GUARDED_OFF,
    DuplicateMachineError,
    StateError,
    StoreError,
    TransitionRefusedError,
    UnknownMachineError,
)
from coresys.forks import renew_in_children
from coresys.state.history import HISTORY_BYTES, HISTORY_COUNT
from coresys.state.machine import Machine
from coresys.state.making import log
from coresys.state.scope import Scope, TransitionSink
from coresys.state.store import Durability, StateStore
from coresys.state.table import TransitionTable
from coresys.state.timers import Timers
from coresys.state.together import fire_all
from coresys.system_records import MachineRecord, PendingTimer, StateDefinition, StateStatistics, TransitionRecord

if TYPE_CHECKING:
    from coresys.interfaces import IStateManager

_HERE = "this state manager"
# Of a name that is not held those are told that look like it, if there are not too many to look through.
MOST_NAMES_COMPARED = 1000


class StateManager:
    """Holds machines by name, for as long as they are not released.

    ``store``: where they are kept beyond this process (``durability`` is the store's; without one, ``memory``).
    ``monitoring``: sees every transition, once. ``on_error``: is given what observers raised after a transition, which
    is otherwise raised by ``fire``. ``history_count`` and ``history_bytes`` bound what a machine remembers in memory.
    ``timers``: ``thread`` has a thread fire what is due, from the first timer on; ``manual`` leaves it to ``run_due``.

    Any thread may call any method. Closing it ends the timers and closes the store. One that nobody refers to any
    more, nor to its machines, ends its timers by itself; its store is for whoever opened that.
    """

    def __init__(
        self,
        *,
        store: StateStore | None = None,
        monitoring: TransitionSink | None = None,
        clock: WallClock | None = None,
        on_error: Callable[[StateError], object] | None = None,
        history_count: int = HISTORY_COUNT,
        history_bytes: int = HISTORY_BYTES,
        timers: Literal["thread", "manual"] = "thread",
    ) -> None:
        if timers not in ("thread", "manual"):
            raise ValueError(f"timers are run by 'thread' or 'manual', not {timers!r}")
        self._scope = Scope(
            clock=clock,
            history_count=history_count,
            history_bytes=history_bytes,
            store=store,
            sink=monitoring,
            on_error=on_error,
        )
        self._timers = Timers(self._scope.clock, _timer_failed)
        if timers == "thread":
            self._timers.use_thread()
        self._scope.timers = self._timers
        self._scope.manager = self
        # Of the four below; a leaf: no machine's lock is waited for under it.
        self._lock = RLock()
        self._machines: dict[str, Machine] = {}
        self._coming: set[str] = set()  # names that are taken by machines which nobody may see yet
        self._defined: dict[StateDefinition, TransitionTable] = {}
        self._after_release = self._scope.after_release()
        self._gone = 0  # transitions of machines that were released
        self._kept: dict[str, int] = {}  # those of whom the store keeps: they count again when it is taken up again
        self._closed = False
        renew_in_children(self, StateManager._after_fork)

    # -- machines ----------------------------------------------------------------------------------------------------

    def add(self, name: str, table: TransitionTable) -> Machine:
        """A new machine in its initial state, held under ``name``, and kept in the store.

        Raises DuplicateMachineError where the name is taken, here or in the store (``recover`` takes those up).
        """
        if not name:
            raise ValueError("a machine that is held has a name")
        machine = Machine(table, name, scope=self._scope)
        now = self._scope.time()
        pending = tuple(PendingTimer(state, event, now + seconds) for state, event, seconds in table.first_timers)
        record = MachineRecord(name, table.name, table.initial, 0, now, timers=pending)
        try:
            self._take_names([name])
            if self._scope.store is not None:
                self._scope.store.create(record)
            machine._take_up(record)
            self._hold([machine])
        except DuplicateMachineError as error:
            if error.where != _HERE:
                self._coming.discard(name)
            raise
        except BaseException:
            self._coming.discard(name)
            raise
        self._timers.armed(machine, pending)
        return machine

    def recover(self, tables: Iterable[TransitionTable | StateDefinition]) -> tuple[Machine, ...]:
        """Take up every machine that the store keeps and that is not held yet, where it stood; timers go on.

        ``tables`` are what they may be of: those that were given to ``add``, and definitions to ``define``.
        Histories stay in the store until somebody asks. Raises StoreError, and takes up none, where the store has
        machines of a table that is not given, or in a state that their table does not have; ValueError where two tables
        that are given have one name.
        """
        store = self._scope.store
        if store is None:
            raise StateError("there is no store to recover machines from")
        by_name: dict[str, TransitionTable] = {}
        for given in tables:
            table = self._table_of(given) if isinstance(given, StateDefinition) else given
            if by_name.setdefault(table.name, table) is not table:
                raise ValueError(f"there are two tables called {table.name!r}, and machines may be of either")
        before = self._taken()
        records = [record for record in store.machines() if record.name not in before]
        problems = sorted({problem for record in records if (problem := _problem(record, by_name)) is not None})
        if problems:
            raise StoreError(store=repr(store), problem="; ".join(problems))
        machines = {record.name: Machine(by_name[record.table], record.name, scope=self._scope) for record in records}
        for record in records:
            machines[record.name]._take_up(record)
        with self._lock:
            if self._closed:
                raise StateError("the state manager is closed")
            now = self._taken()  # what came meanwhile was added by another thread, and is new
            mine = [machine for name, machine in machines.items() if name not in now]
            self._hold(mine)
        for machine in mine:
            self._timers.armed(machine, machine.describe().timers)
        return tuple(mine)

    def machine(self, name: str) -> Machine:
        """The machine of that name. Raises UnknownMachineError."""
        machine = self._machines.get(name)
        if machine is None:
            names = self.names()[:MOST_NAMES_COMPARED]
            raise UnknownMachineError(machine=name, near=tuple(get_close_matches(name, names, n=3)))
        return machine

    def machines(self) -> tuple[Machine, ...]:
        """All machines that are held now, each once, in the order they came in."""
        with self._lock:
            return tuple(self._machines.values())

    def release(self, name: str, *, keep: bool = False) -> None:
        """Hold a machine no longer, and forget it in the store. What is fired on it after that is refused.

        ``keep``: the store goes on keeping it, as it has it, for another process or for ``recover``. Raises
        StoreConflictError where the store has a later transition of it, which another process made, and ``keep`` is
        not set.
        """
        machine = self.machine(name)
        if not machine._release(self._after_release, keep=keep):
            return
        with self._lock:
            if self._machines.get(name) is machine:  # not one of the same name that was added since
                del self._machines[name]
                self._gone += machine.sequence
                if keep:
                    self._kept[name] = machine.sequence

    def reload(self, name: str) -> MachineRecord:
        """Stand where the store has the machine, which another process moved; what StoreConflictError asks for.

        State, number, history, timers and snapshots are the store's after that. Nobody is told: what was made
        elsewhere was told there. Raises StoreError where the store keeps it no longer (``release`` it then), or in a
        state that its table does not have.
        """
        store = self._scope.store
        if store is None:
            raise StateError("there is no store to reload machines from")
        machine = self.machine(name)

        def find() -> MachineRecord:
            record = next((each for each in store.machines() if each.name == name), None)
            if record is None:
                raise StoreError(store=repr(store), problem=f"it keeps no machine {name!r}")
            problem = _problem(record, {machine.table.name: machine.table})
            if problem is not None:
                raise StoreError(store=repr(store), problem=problem)
            return record

        record = machine._reload(find)
        self._timers.armed(machine, record.timers)
        return record

    def __len__(self) -> int:
        return len(self._machines)

    def __contains__(self, name: object) -> bool:
        return name in self._machines

    def __iter__(self) -> Iterator[Machine]:
        return iter(self.machines())

    # -- by name: what IStateManager promises ------------------------------------------------------------------------

    def define(self, name: str, definition: StateDefinition) -> None:
        """As ``add``, with a table of plain values; machines of equal definitions share one."""
        self.add(name, self._table_of(definition))

    def _table_of(self, definition: StateDefinition) -> TransitionTable:
        with self._lock:
            table = self._defined.get(definition)
        if table is None:
            table = TransitionTable.of(definition)
            with self._lock:
                table = self._defined.setdefault(definition, table)
        return table

    def names(self) -> tuple[str, ...]:
        """The names of all machines that are held."""
        with self._lock:
            return tuple(self._machines)

    def state(self, name: str) -> str:
        """The state that a machine is in."""
        return self.machine(name).state

    def describe(self, name: str) -> MachineRecord:
        """Where a machine stands, with its timers and snapshots."""
        return self.machine(name).describe()

    def fire(
        self, name: str, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> TransitionRecord | None:
        """As ``Machine.fire``, with the record of what was made; None where it was queued (see there)."""
        return self.machine(name).fire_recorded(event, payload, cause=cause, actor=actor)

    def fire_all(
        self,
        events: Mapping[str, str],
        payloads: Mapping[str, Any] | None = None,
        *,
        cause: str | None = None,
        actor: str | None = None,
    ) -> tuple[TransitionRecord, ...]:
        """One event of each of several machines (by name): all transitions are made, or none is."""
        given = payloads or {}
        steps = [(self.machine(name), event, given.get(name)) for name, event in events.items()]
        return fire_all(steps, cause=cause, actor=actor)

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        """As ``Machine.history``."""
        return self.machine(name).history(last)

    def rollback(
        self,
        name: str,
        steps: int | None = None,
        *,
        to_sequence: int | None = None,
        to_snapshot: str | None = None,
        cause: str | None = None,
        actor: str | None = None,
    ) -> str:
        """As ``Machine.rollback``."""
        return self.machine(name).rollback(
            steps, to_sequence=to_sequence, to_snapshot=to_snapshot, cause=cause, actor=actor
        )

    def snapshot(self, name: str, label: str) -> int:
        """As ``Machine.snapshot``."""
        return self.machine(name).snapshot(label)

    def drop_snapshot(self, name: str, label: str) -> bool:
        """As ``Machine.drop_snapshot``."""
        return self.machine(name).drop_snapshot(label)

    def statistics(self) -> StateStatistics:
        """What is held, and what became of events, as of now."""
        with self._lock:
            machines = tuple(self._machines.values())
            gone = self._gone
        standing = Counter((machine.table.name, machine.state) for machine in machines)
        return StateStatistics(
            machines=len(machines),
            transitions=gone + sum(machine.sequence for machine in machines),
            refused=self._scope.refused,
            failed=self._scope.failed,
            in_state=tuple((table, state, number) for (table, state), number in sorted(standing.items())),
        )

    # -- who is told, timers, the end --------------------------------------------------------------------------------

    @property
    def on_error(self) -> Callable[[StateError], object] | None:
        """Who is given what observers raised after a transition, and what timers met with; None: ``fire`` raises it.

        May be set at any time: ``ErrorStates`` is made of a manager that is there already, and then is who is told.
        """
        return self._scope.on_error

    @on_error.setter
    def on_error(self, told: Callable[[StateError], object] | None) -> None:
        self._scope.on_error = told

    @property
    def durability(self) -> Durability:
        """What survives what: the store's, or ``memory``."""
        return "memory" if self._scope.store is None else self._scope.store.durability

    def watch(self, watcher: Callable[[TransitionRecord], object]) -> Callable[[], None]:
        """Call ``watcher`` with the record of every transition from now on, after it was made and without a lock.

        Records of one machine may come out of order where several threads use it: ``sequence`` tells. Returns what
        ends it.
        """
        mine: partial[object] | None = partial(watcher)  # the same one may watch twice, and end once
        assert mine is not None
        with self._scope.lock:
            self._scope.watchers = (*self._scope.watchers, mine)
            self._scope.settle()

        def stop() -> None:
            nonlocal mine
            with self._scope.lock:
                self._scope.watchers = tuple(each for each in self._scope.watchers if each is not mine)
                self._scope.settle()
                mine = None  # whoever keeps this may be the one who watched

        return stop

    @property
    def has_timers(self) -> bool:
        """Whether timers are fired by a thread now, which ``close`` waits for."""
        return self._timers.runs

    def next_due(self) -> float | None:
        """When the next timer is due, in seconds since 1970; None if none is armed."""
        return self._timers.next_due()

    def run_due(self) -> int:
        """Fire what is due by now; returns how many events were fired. For ``timers='manual'``, and harmless else."""
        return self._timers.run_due()

    def close(self) -> None:
        """End the timers and close the store. Machines that are held can be read, and fire no more if there is one.

        Waits for a timer that is being fired; but not from inside a transition (an observer inside it, a guard), for
        the timer may be waiting for that one to end.
        """
        self._closed = True
        try:
            self._timers.stop(wait=not any(machine._holds() for machine in self.machines()))
        finally:
            if self._scope.store is not None:
                self._scope.store.close()
            self._leave_machines_to_themselves()

    def forget(self) -> None:
        """Close it, and hold no machine any longer, nor whoever watches; a machine that somebody has can be read."""
        self.close()
        with self._lock:
            gone: list[object] = [self._machines, self._defined]
            self._gone += sum(machine.sequence for machine in self._machines.values())
            self._machines, self._defined = {}, {}
        with self._scope.lock:
            gone += [self._scope.watchers, self._scope.on_error]
            self._scope.watchers, self._scope.on_error = (), None
            self._scope.settle()
        del gone  # outside of the locks: finalizers are not ours

    def _leave_machines_to_themselves(self) -> None:
        """They need their manager no longer: a circle of both would wait for the collector, with all histories."""
        for machine in self.machines():
            renew_in_children(machine, Machine._after_fork)
        renew_in_children(self._scope, Scope._after_fork)
        self._scope.manager = None

    def __enter__(self) -> StateManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<StateManager: {len(self._machines)} machines, {self.durability}{', closed' if self._closed else ''}>"

    def _take_names(self, names: list[str]) -> None:
        """Take names for machines that are to be held, all or none."""
        with self._lock:
            if self._closed:
                raise StateError(f"{', '.join(names)}: the state manager is closed")
            for name in names:
                if name in self._machines or name in self._coming:
                    raise DuplicateMachineError(machine=name, where=_HERE)
            self._coming.update(names)

    def _taken(self) -> set[str]:
        with self._lock:
            return {*self._machines, *self._coming}

    def _hold(self, machines: list[Machine]) -> None:
        with self._lock:
            for machine in machines:
                self._machines[machine.name] = machine
                self._gone -= self._kept.pop(machine.name, 0)
                self._coming.discard(machine.name)

    def _after_fork(self) -> None:
        """In a forked child the threads that held locks are gone: no lock is held, whatever it says."""
        self._lock = RLock()
        self._scope._after_fork()
        self._timers.after_fork()
        for machine in self._machines.values():
            machine._after_fork()


def _timer_failed(machine: Machine, timer: PendingTimer, error: Exception) -> None:
    """Nobody called who could be told: somebody who asked for it is, or the log."""
    on_error = machine._scope.on_error
    if on_error is not None and isinstance(error, StateError):
        try:
            on_error(error)
            return
        except Exception as second:
            error = second
    if not (isinstance(error, TransitionRefusedError) and error.reason == GUARDED_OFF):  # a timer's ordinary life
        log.error("%s: timer of %r, event %r", machine.name, timer.state, timer.event, exc_info=error)


def _problem(record: MachineRecord, tables: Mapping[str, TransitionTable]) -> str | None:
    table = tables.get(record.table)
    if table is None:
        return f"it has machines of table {record.table!r}, which was not given"
    if record.state not in table.edges:
        return f"it has machines of table {record.table!r} in state {record.state!r}, which that table does not have"
    return None


if TYPE_CHECKING:
    _check: type[IStateManager] = StateManager
