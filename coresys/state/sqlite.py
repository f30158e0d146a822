"""The embedded store: machines, their histories, timers and snapshots in one SQLite file.

Where a machine stands and the transition that led there are written in one SQLite transaction, in WAL mode. With
``process`` that is ``synchronous=NORMAL``: a commit is in the kernel's hands when it returns, and survives the death of
the process. With ``power`` it is ``FULL``, and commits of several threads are one: whoever comes first writes for all
who came meanwhile, so that a device that syncs slowly is asked once for many. It waits for those it has reason to
expect: see ``_gather``.

Invariants: one connection, used by the one who holds ``_using``, for reading too. While batches wait, exactly one
thread leads: it commits all that wait, then makes the first of those who came meanwhile the leader, whether it was
interrupted or not. A batch is in one commit, whole or not at all; its owner is told after that commit, and is told at
once: nobody waits for a commit that is not his, or queues to hear of his own.
"""

from __future__ import annotations

import os
import sqlite3
from _thread import allocate_lock, get_ident
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import TypeVar

from coresys.clock import monotonic, sleep
from coresys.errors.hierarchy import DuplicateMachineError, StateError, StoreConflictError, StoreError
from coresys.state.store import Durability
from coresys.system_records import MachineRecord, PendingTimer, TransitionRecord

T = TypeVar("T")
S = TypeVar("S", bound="SQLiteStore")

MEMORY = ":memory:"  # SQLite's own name for a database that is in no file

# Which file is one of ours, whatever its user_version, which many use: "csys".
APPLICATION = 0x63737973

# Each brings a file from the version before it, which is its place here, to the next. Never change one that was
# published: add another.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE machine (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
        state TEXT NOT NULL, sequence INTEGER NOT NULL, since REAL NOT NULL
    );
    CREATE TABLE history (
        machine INTEGER NOT NULL, sequence INTEGER NOT NULL, time REAL NOT NULL, event TEXT NOT NULL,
        source TEXT NOT NULL, target TEXT NOT NULL, cause TEXT, actor TEXT, PRIMARY KEY (machine, sequence)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE timer (
        machine INTEGER NOT NULL, state TEXT NOT NULL, event TEXT NOT NULL, due REAL NOT NULL,
        PRIMARY KEY (machine, state, event)
    ) WITHOUT ROWID;
    CREATE TABLE snapshot (
        machine INTEGER NOT NULL, label TEXT NOT NULL, state TEXT NOT NULL, sequence INTEGER NOT NULL,
        PRIMARY KEY (machine, label)
    ) WITHOUT ROWID;
    """,
)

# Numbers of machines are never given again (AUTOINCREMENT): another process that remembers one that was released writes
# to nobody.

HISTORY_ROWS = 10_000
HISTORY_BYTES = 4_000_000
# What is too much of a machine's history is deleted once in so many of its transitions, or when as much was written
# since the last time as this part of what it may have. At 10,000 rows that takes 8 ms; to see once, after opening,
# whether it is due takes 2.
TRIM_EVERY = 256
TRIM_PART = 8
# A leader waits for others, whom it has reason to expect, for so much of what the last commit took, in seconds at most.
GATHER_PART = 0.25
GATHER_MOST = 0.001
# A small page makes a small write: with 4,096 bytes a synced commit took 1.2 to 2 times as long as with these.
PAGE = 1024
# History that a row takes besides its texts: two integers, a float, headers.
ROW_BYTES = 40

_INSERT = "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE machine SET state = ?, sequence = ?, since = ? WHERE id = ? AND sequence = ?"
_LENGTH = f"{ROW_BYTES} + length(CAST(event || source || target || ifnull(cause, '') || ifnull(actor, '') AS BLOB))"
_COLUMNS = "h.sequence, h.time, h.event, h.source, h.target, h.cause, h.actor"


class _Ticket:
    """One batch that waits for the commit it will be a part of."""

    __slots__ = ("called", "done", "error", "leads", "left", "work")

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.done = False
        self.leads = False
        self.left = False  # whoever it was of was interrupted, and is gone
        self.error: Exception | None = None
        self.called = allocate_lock()  # held until it is done, or is to lead
        self.called.acquire()

    def call(self) -> None:
        """Wake its owner; done twice, it does no harm."""
        try:
            self.called.release()
        except RuntimeError:  # nobody holds it: it was called before
            pass


class SQLiteStore:
    """A StateStore in a file.

    ``durability`` is ``process`` or ``power``; or ``memory``, of the path ":memory:", for tests: all of the SQL, and no
    disk, whose syncs would take most of a test's time. ``history_rows`` and ``history_bytes`` bound what is kept of
    each machine's history; there may be 256 rows more, and an eighth of the bytes, and the last transition is kept
    whatever its size. ``timeout`` is how long another process's write is waited for, in seconds.

    One process writes to a machine: where another one has, StoreConflictError is raised and nothing is written. A store
    does not pass to a forked child, which has to open one of its own. Raises StoreError where the file is no such
    store, or is one of a later version.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "process",
        history_rows: int = HISTORY_ROWS,
        history_bytes: int = HISTORY_BYTES,
        timeout: float = 5.0,
    ) -> None:
        if durability not in ("memory", "process", "power"):
            raise ValueError(f"a SQLite store has durability 'memory', 'process' or 'power', not {durability!r}")
        if (durability == "memory") != (os.fspath(path) == MEMORY):
            raise ValueError(f"durability {durability!r} is not that of {os.fspath(path)!r}: {MEMORY!r} is of 'memory'")
        if history_rows < 1 or history_bytes < 1:
            raise ValueError("history_rows and history_bytes are at least 1")
        self.path = Path(path)
        self._durability = durability
        self._rows, self._bytes = history_rows, history_bytes
        self._trim_every = min(TRIM_EVERY, history_rows)
        self._using = allocate_lock()  # of the connection
        # Threads that are anywhere in here: a handler or finalizer that runs in one of them must not wait for it.
        self._inside: set[int] = set()
        self._gate = RLock()  # of the two below, and of who leads; a leaf, which a handler may ask for again
        self._waiting: list[_Ticket] = []
        self._led = False
        # Written by the leader only: how many it may wait for, and for how many seconds at most.
        self._expected, self._gathering = 1, 0.0
        self._numbers: dict[str, int] = {}  # name to id: those that were asked for
        self._written: dict[int, int] = {}  # by id: bytes of history that were written since it was within its bound
        self._process = os.getpid()
        self._closing = self._closed = False
        self._database = self._open(timeout)

    @property
    def durability(self) -> Durability:
        return self._durability

    # -- writing -----------------------------------------------------------------------------------------------------

    def create(self, machine: MachineRecord) -> None:
        def work() -> None:
            cursor: sqlite3.Cursor | None
            try:
                cursor = self._database.execute(
                    "INSERT INTO machine (name, kind, state, sequence, since) VALUES (?, ?, ?, ?, ?)",
                    (machine.name, machine.table, machine.state, machine.sequence, machine.since),
                )
            except sqlite3.IntegrityError:
                cursor = None
            if cursor is None:  # not in the handler: see _try_to_commit
                raise DuplicateMachineError(machine=machine.name, where=str(self.path))
            number = cursor.lastrowid
            assert number is not None
            self._write_timers(number, machine.timers)

        self._commit(work)

    def append(
        self, records: Sequence[TransitionRecord], timers: Mapping[str, Sequence[PendingTimer]] | None = None
    ) -> None:
        def work() -> None:
            execute = self._database.execute
            for record in records:
                number = self._number(record.machine)
                sequence = record.sequence
                changed = execute(_UPDATE, (record.target, sequence, record.time, number, sequence - 1)).rowcount
                if changed != 1:
                    raise self._conflict(record.machine, number, sequence)
                execute(
                    _INSERT,
                    (
                        number, sequence, record.time, record.event, record.source, record.target, record.cause,
                        record.actor,
                    ),
                )  # fmt: skip
                if timers is not None and record.machine in timers:
                    self._write_timers(number, timers[record.machine])
                own = _bytes(record)
                known = self._written.get(number)
                written = own + (self._surplus(number) if known is None else known)
                if sequence % self._trim_every == 0 or written > self._bytes // TRIM_PART:
                    self._trim(number, sequence)
                    written = own if own > self._bytes else 0  # one that is too long goes with the next
                self._written[number] = written

        self._commit(work)

    def snapshot(self, machine: str, label: str, state: str, sequence: int) -> None:
        def work() -> None:
            number = self._number(machine)
            changed = self._database.execute(
                "INSERT OR REPLACE INTO snapshot SELECT id, ?, ?, ? FROM machine WHERE id = ? AND sequence = ?",
                (label, state, sequence, number, sequence),
            ).rowcount
            if changed != 1:
                raise self._conflict(machine, number, sequence + 1)

        self._commit(work)

    def drop_snapshot(self, machine: str, label: str, sequence: int) -> None:
        def work() -> None:
            number = self._number(machine)
            if (
                self._database.execute(
                    "SELECT 1 FROM machine WHERE id = ? AND sequence = ?", (number, sequence)
                ).fetchone()
                is None
            ):
                raise self._conflict(machine, number, sequence + 1)
            self._database.execute("DELETE FROM snapshot WHERE machine = ? AND label = ?", (number, label))

        self._commit(work)

    def forget(self, machine: str, sequence: int) -> None:
        def work() -> None:
            row = self._database.execute("SELECT id, sequence FROM machine WHERE name = ?", (machine,)).fetchone()
            self._numbers.pop(machine, None)
            if row is None:
                return
            self._written.pop(row[0], None)
            if row[1] != sequence:
                raise self._conflict(machine, row[0], sequence + 1)
            for table, column in (
                ("history", "machine"),
                ("timer", "machine"),
                ("snapshot", "machine"),
                ("machine", "id"),
            ):
                self._database.execute(f"DELETE FROM {table} WHERE {column} = ?", (row[0],))

        self._commit(work)

    # -- reading -----------------------------------------------------------------------------------------------------

    def machines(self) -> tuple[MachineRecord, ...]:
        def work() -> tuple[MachineRecord, ...]:
            timers: dict[int, list[PendingTimer]] = {}
            for number, *timer in self._database.execute("SELECT machine, state, event, due FROM timer"):
                timers.setdefault(number, []).append(PendingTimer(*timer))
            snapshots: dict[int, list[tuple[str, str, int]]] = {}
            for number, *kept in self._database.execute("SELECT machine, label, state, sequence FROM snapshot"):
                snapshots.setdefault(number, []).append((kept[0], kept[1], kept[2]))
            rows = self._database.execute(
                f"SELECT m.id, m.name, m.kind, m.state, m.sequence, m.since, {_COLUMNS} FROM machine m "
                "LEFT JOIN history h ON h.machine = m.id AND h.sequence = m.sequence ORDER BY m.id"
            )
            found = []
            for number, name, kind, state, sequence, since, *last in rows:
                self._numbers[name] = number
                found.append(
                    MachineRecord(
                        name=name,
                        table=kind,
                        state=state,
                        sequence=sequence,
                        since=since,
                        last=TransitionRecord(name, kind, *last) if last[0] is not None else None,
                        timers=tuple(timers.get(number, ())),
                        snapshots=tuple(snapshots.get(number, ())),
                    )
                )
            return tuple(found)

        return self._read(work)

    def history(self, machine: str, *, last: int) -> tuple[TransitionRecord, ...]:
        def work() -> tuple[TransitionRecord, ...]:
            rows = self._database.execute(
                f"SELECT m.name, m.kind, {_COLUMNS} FROM history h JOIN machine m ON m.id = h.machine "
                "WHERE m.name = ? ORDER BY h.sequence DESC LIMIT ?",
                (machine, last),
            )
            return tuple(TransitionRecord(*row) for row in rows)[::-1]

        return self._read(work)

    def close(self) -> None:
        """Close the file. From inside a commit of this thread (a signal's handler), as soon as that is through."""
        self._closing = True
        if self._process == os.getpid() and get_ident() not in self._inside:
            with self._using:
                self._close_now()

    def _close_now(self) -> None:
        if not self._closed:
            self._closed = True
            self._database.close()

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SQLiteStore {self.path} ({self._durability}){': closed' if self._closing else ''}>"

    # -- inside ------------------------------------------------------------------------------------------------------

    def _commit(self, work: Callable[[], None]) -> None:
        """Run ``work`` in a transaction, perhaps together with that of others, and return when it is durable."""
        me = self._enter()
        try:
            self._inside.add(me)
            ticket = _Ticket(work)
            self._wait_or_lead(ticket)
        finally:
            self._inside.discard(me)  # here, and not in a function: a signal may come where one begins
            if self._closing:
                self._close_if_asked()
        if ticket.error is not None:
            try:
                raise ticket.error
            finally:
                ticket.error = None

    def _wait_or_lead(self, ticket: _Ticket) -> None:
        batch: list[_Ticket] = []
        try:
            with self._gate:
                self._waiting.append(ticket)
                if not self._led:
                    self._led = ticket.leads = True
            if not ticket.leads:
                ticket.called.acquire()
            if ticket.leads:
                self._gather()
                with self._using:
                    with self._gate:
                        batch, self._waiting = self._waiting, batch
                    began = monotonic()
                    self._commit_all(batch)
                    self._gathering = min(GATHER_PART * (monotonic() - began), GATHER_MOST)
                    self._expected = len(batch) + len(self._waiting)
                self._hand_over(ticket, batch)
        except BaseException:  # a signal's, wherever we were: nobody may be left waiting for us
            ticket.left = True
            while True:
                try:
                    self._hand_over(ticket, batch)
                    break
                except BaseException:  # and another one
                    continue
            raise

    def _gather(self) -> None:
        """Let those come that were told of their commit just now, where a commit takes long enough for that to pay.

        Without this, half of the threads wait while the other half is committed, and each sync is for half of them.
        Nobody is waited for where nobody came while the last commit went on, nor longer than for a part of what that
        took.
        """
        if self._durability != "power" or len(self._waiting) >= self._expected:
            return
        until = monotonic() + self._gathering
        while len(self._waiting) < self._expected and monotonic() < until:
            sleep(0)  # they need the interpreter

    def _enter(self) -> int:
        """The identity of this thread, which is not inside a commit already: it would wait for itself."""
        if self._process != os.getpid():  # before any lock: another thread of the parent's may have held it
            raise StoreError(
                store=str(self.path),
                problem=f"it was opened by process {self._process}; a forked child has to open one of its own",
            )
        me = get_ident()
        if me in self._inside:
            problem = "it was asked from inside one of its own commits, by a signal's handler or a finalizer"
            raise StoreError(store=str(self.path), problem=problem)
        return me

    def _close_if_asked(self) -> None:
        """Close what was to be closed while this thread was inside."""
        if get_ident() not in self._inside:
            with self._using:
                self._close_now()

    def _hand_over(self, leader: _Ticket, batch: list[_Ticket]) -> None:
        """Tell those whose batch is done, and make the first who waits the leader. Done twice, it does no harm."""
        with self._gate:
            if leader.left and leader in self._waiting:
                self._waiting.remove(leader)
            if leader.leads:
                # Of a commit that was interrupted: whoever is still there waits for the next.
                undone = [each for each in batch if not (each.done or each.left or each is leader)]
                self._waiting[:0] = [each for each in undone if each not in self._waiting]
                if self._waiting:
                    self._waiting[0].leads = True
                else:
                    self._led = False
                leader.leads = False
            called = [each for each in (*batch, *self._waiting[:1]) if (each.done or each.leads) and each is not leader]
        for each in called:
            each.call()

    def _commit_all(self, batch: list[_Ticket]) -> None:
        """Commit a batch at once; where one of it fails, each by itself, so that it fails for no one else."""
        error = self._try_to_commit(batch)
        if error is not None and len(batch) > 1:
            for ticket in batch:
                ticket.error = self._try_to_commit([ticket])
                ticket.done = True
            return
        for ticket in batch:
            ticket.error, ticket.done = error, True

    def _try_to_commit(self, batch: list[_Ticket]) -> Exception | None:
        committing = False
        try:
            self._check()
        except StoreError as error:
            return error
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for ticket in batch:
                ticket.work()
            committing = True
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            elif committing and not isinstance(error, sqlite3.Error):
                for ticket in batch:  # a signal's, and it came after the commit
                    ticket.done = True
            self._numbers.clear()  # some may be of machines that were not created after all
            self._written.clear()  # and what was trimmed was not
            # Without its traceback: the frames in it, and those that called them, have the error for a local. All that
            # callers have in hand, a slice of a buffer say, would stay in that circle until somebody collects.
            if isinstance(error, StateError):
                return error.with_traceback(None)
            if not isinstance(error, Exception):
                raise
            problem = StoreError(store=str(self.path), problem=f"{type(error).__name__}: {error}")
            problem.__cause__ = error.with_traceback(None)
            return problem
        return None

    def _read(self, work: Callable[[], T]) -> T:
        me = self._enter()
        try:
            self._inside.add(me)
            with self._using:
                self._check()
                return work()
        except sqlite3.Error as error:
            raise StoreError(store=str(self.path), problem=f"{type(error).__name__}: {error}") from error
        finally:
            self._inside.discard(me)  # here, and not in a function: a signal may come where one begins
            if self._closing:
                self._close_if_asked()

    def _check(self) -> None:
        if self._closed:
            raise StoreError(store=str(self.path), problem="it is closed")

    def _number(self, machine: str) -> int:
        number = self._numbers.get(machine)
        if number is None:
            row = self._database.execute("SELECT id FROM machine WHERE name = ?", (machine,)).fetchone()
            if row is None:
                raise StoreConflictError(store=str(self.path), machine=machine, sequence=0, found=None)
            number = self._numbers[machine] = int(row[0])
        return number

    def _conflict(self, machine: str, number: int, sequence: int) -> StoreConflictError:
        row = self._database.execute("SELECT sequence FROM machine WHERE id = ?", (number,)).fetchone()
        found = None if row is None else int(row[0])
        return StoreConflictError(store=str(self.path), machine=machine, sequence=sequence, found=found)

    def _write_timers(self, number: int, timers: Sequence[PendingTimer]) -> None:
        self._database.execute("DELETE FROM timer WHERE machine = ?", (number,))
        self._database.executemany(
            "INSERT INTO timer VALUES (?, ?, ?, ?)",
            [(number, timer.state, timer.event, timer.due) for timer in timers],
        )

    def _surplus(self, number: int) -> int:
        """By how many bytes a history is longer than it may be, of what was written before this store was opened."""
        row = self._database.execute(f"SELECT ifnull(sum({_LENGTH}), 0) FROM history WHERE machine = ?", (number,))
        return max(0, int(row.fetchone()[0]) - self._bytes)

    def _trim(self, number: int, sequence: int) -> None:
        oldest = sequence - self._rows
        row = self._database.execute(
            f"SELECT max(sequence) FROM (SELECT sequence, sum({_LENGTH}) "
            "OVER (ORDER BY sequence DESC) AS bytes FROM history WHERE machine = ? AND sequence > ?) "
            "WHERE bytes > ? AND sequence < ?",
            (number, oldest, self._bytes, sequence),
        ).fetchone()
        if row[0] is not None:
            oldest = max(oldest, row[0])
        self._database.execute("DELETE FROM history WHERE machine = ? AND sequence <= ?", (number, oldest))

    def _open(self, timeout: float) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(self.path, timeout=timeout, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise StoreError(store=str(self.path), problem=f"it cannot be opened: {error}") from error
        try:
            self._set_up(database, timeout)
        except sqlite3.Error as error:
            database.close()
            raise StoreError(store=str(self.path), problem=f"it is no store of states: {error}") from error
        except BaseException:
            database.close()
            raise
        return database

    def _set_up(self, database: sqlite3.Connection, timeout: float) -> None:
        version = self._look(database)  # before anything is changed: it may be somebody else's
        if self._durability != "memory" and self._keep_a_log(database, timeout, version):
            return
        database.execute("BEGIN IMMEDIATE")  # of two processes that open a new file, one makes it
        try:
            for script in MIGRATIONS[self._look(database) :]:
                for statement in script.split(";"):
                    if statement.strip():
                        database.execute(statement)
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise

    def _keep_a_log(self, database: sqlite3.Connection, timeout: float, version: int) -> bool:
        """Let it be as durable as was asked for; whether the tables are those of today."""
        database.execute(f"PRAGMA page_size = {PAGE}")
        mode = self._use_log(database, timeout)
        if mode != "wal":
            raise StoreError(store=str(self.path), problem=f"it cannot keep a write-ahead log here (mode {mode!r})")
        database.execute(f"PRAGMA synchronous = {'FULL' if self._durability == 'power' else 'NORMAL'}")
        database.execute(f"PRAGMA wal_autocheckpoint = {4096 * 1000 // PAGE}")
        # Then nothing has to be written, which would be synced twice now, and twice at the end.
        return version == len(MIGRATIONS)

    def _use_log(self, database: sqlite3.Connection, timeout: float) -> str:
        """Turn the write-ahead log on. SQLite does not wait for others who do the same at the time: this does."""
        end = monotonic() + timeout
        while True:
            try:
                return str(database.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or monotonic() > end:
                    raise
            sleep(0.002)

    def _look(self, database: sqlite3.Connection) -> int:
        """The version of the file; 0 for one that is empty."""
        own = not database.in_transaction
        if own:
            database.execute("BEGIN")  # or another opener may write between the three
        try:
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            (application,) = database.execute("PRAGMA application_id").fetchone()
        finally:
            if own and database.in_transaction:
                database.execute("COMMIT")
        if application != APPLICATION and (application or version or tables):
            raise StoreError(store=str(self.path), problem="it is a database of something else")
        if version > len(MIGRATIONS):
            raise StoreError(
                store=str(self.path),
                problem=f"its schema is version {version}, and this coresys knows those up to {len(MIGRATIONS)}",
            )
        return int(version)


def _bytes(record: TransitionRecord) -> int:
    """About what a row takes, as ``_trim`` counts it: four bytes a character where it may have such."""
    texts = (record.event, record.source, record.target, record.cause, record.actor)
    return ROW_BYTES + sum(len(text) if text.isascii() else 4 * len(text) for text in texts if text)
