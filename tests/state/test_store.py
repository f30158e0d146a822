"""The SQLite store: what comes back, what is refused, and what is never half done."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from state_helping import FLIP, frozen

from coresys.errors.hierarchy import (
    DuplicateMachineError,
    RollbackError,
    StateError,
    StoreConflictError,
    StoreError,
    TransitionFailedError,
    TransitionRefusedError,
)
from coresys.state import SQLiteStore, State, StateManager, StateStore, TransitionTable, after, on
from coresys.state import sqlite as sqlite_module
from coresys.state.sqlite import MIGRATIONS
from coresys.system_records import MachineRecord, PendingTimer, TransitionRecord

Level = Literal["process", "power"]

LAMP = TransitionTable(
    "lamp",
    states=[State("off", initial=True), State("on")],
    transitions=[on("press", "off", "on"), on("press", "on", "off"), after(30, "on", "off")],
)


def record(sequence: int, *, machine: str = "m", **other: Any) -> TransitionRecord:
    source, target = ("a", "b") if sequence % 2 else ("b", "a")
    return TransitionRecord(machine, "flip", sequence, 1000.0 + sequence, "go", source, target, **other)


def new(name: str) -> MachineRecord:
    return MachineRecord(name, "flip", "a", 0, 1000.0)


@pytest.fixture(params=["process", "power"])
def level(request: pytest.FixtureRequest) -> Level:
    return request.param  # type: ignore[no-any-return]


# -- what comes back -------------------------------------------------------------------------------------------------


def test_what_was_kept_comes_back(tmp_path: Path, level: Level) -> None:
    path = tmp_path / "states.db"
    with SQLiteStore(path, durability=level) as store:
        assert store.durability == level
        store.create(new("m"))
        store.append([record(1, cause="ö\n'", actor="\x00")])
        store.append([record(2)])
        store.snapshot("m", "good", "a", 2)
        store.snapshot("m", "good", "a", 2)
    with SQLiteStore(path) as store:
        assert store.machines() == (
            MachineRecord("m", "flip", "a", 2, 1002.0, last=record(2), snapshots=(("good", "a", 2),)),
        )
        assert store.history("m", last=10) == (record(1, cause="ö\n'", actor="\x00"), record(2))
        assert store.history("m", last=1) == (record(2),)
        assert store.history("x", last=1) == ()


def test_a_store_in_memory_keeps_what_it_is_given_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SQLiteStore(":memory:", durability="memory") as store, SQLiteStore(":memory:", durability="memory") as other:
        assert store.durability == "memory"
        store.create(new("m"))
        store.append([record(1)])
        store.snapshot("m", "good", "b", 1)
        assert store.machines() == (
            MachineRecord("m", "flip", "b", 1, 1001.0, last=record(1), snapshots=(("good", "b", 1),)),
        )
        with pytest.raises(StoreConflictError):
            store.append([record(1)])
        assert store.history("m", last=10) == (record(1),)
        assert other.machines() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_up_to_date_is_opened_and_closed_without_a_write(tmp_path: Path, level: Level) -> None:
    path = tmp_path / "states.db"
    with SQLiteStore(path, durability=level) as store:
        store.create(new("m"))
    before = path.stat().st_mtime_ns, path.read_bytes()
    with SQLiteStore(path, durability=level) as store:
        log = tmp_path / "states.db-wal"
        assert len(store.machines()) == 1
        assert not log.exists() or log.stat().st_size == 0
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_a_manager_takes_up_where_the_last_one_stood(tmp_path: Path, level: Level) -> None:
    path = tmp_path / "states.db"
    clock = frozen()
    with StateManager(store=SQLiteStore(path, durability=level), clock=clock, timers="manual") as manager:
        manager.add("m", FLIP).fire("go", cause="c", actor="ann")
        manager.machine("m").snapshot("there")
        manager.machine("m").fire("go")
        manager.add("new", FLIP)
        manager.add("lamp", LAMP).fire("press")
        before = [manager.describe(name) for name in ("m", "lamp")]
    clock.move_to(1025.0)
    with StateManager(store=SQLiteStore(path), clock=clock, timers="manual") as manager:
        machines = manager.recover([FLIP, LAMP])
        assert [machine.name for machine in machines] == ["m", "new", "lamp"]
        assert [manager.describe(name) for name in ("m", "lamp")] == before
        assert (manager.state("new"), manager.machine("new").sequence) == ("a", 0)
        assert manager.recover([FLIP, LAMP]) == ()
        machine = manager.machine("m")
        assert [each.sequence for each in machine.history()] == [1, 2]
        assert machine.history()[0].actor == "ann"
        assert machine.rollback(1) == "b"
        assert machine.rollback(to_snapshot="there") == "b"
        assert machine.rollback(to_sequence=0) == "a"
        # The timer goes on from when it was armed.
        assert (manager.run_due(), manager.state("lamp")) == (0, "on")
        clock.move_to(1030.0)
        assert (manager.run_due(), manager.state("lamp")) == (1, "off")
        with pytest.raises(DuplicateMachineError):
            manager.add("m", FLIP)


def test_a_name_that_only_the_store_has_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    with StateManager(store=SQLiteStore(path)) as manager:
        manager.add("m", FLIP)
    with StateManager(store=SQLiteStore(path)) as manager:
        with pytest.raises(DuplicateMachineError, match="exists already in"):
            manager.add("m", FLIP)
        assert manager.names() == ()
        assert [machine.name for machine in manager.recover([FLIP])] == ["m"]


def test_timers_that_were_left_are_gone_from_the_store(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "states.db")
    with StateManager(store=store, clock=frozen(), timers="manual") as manager:
        lamp = manager.add("lamp", LAMP)
        lamp.fire("press")
        assert store.machines()[0].timers == (PendingTimer("on", "after 30 s in on", 1030.0),)
        lamp.fire("press")
        assert store.machines()[0].timers == ()


def test_what_is_released_is_gone_from_the_store_too(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    with StateManager(store=SQLiteStore(path), clock=frozen(), timers="manual") as manager:
        lamp = manager.add("lamp", LAMP)
        lamp.fire("press")
        lamp.snapshot("s")
        manager.release("lamp")
        manager.add("lamp", LAMP)
    with sqlite3.connect(path) as database:
        counts = [database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("history", "timer")]
    database.close()
    assert counts == [0, 0]


def test_tables_that_do_not_fit_what_is_stored_are_named_and_nothing_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    with StateManager(store=SQLiteStore(path), timers="manual") as manager:
        manager.add("m", FLIP).fire("go")
        manager.add("lamp", LAMP)
    other = TransitionTable("flip", states=[State("a", initial=True)], transitions=[])
    with StateManager(store=SQLiteStore(path), timers="manual") as manager:
        with pytest.raises(StoreError, match="table 'lamp', which was not given") as caught:
            manager.recover([other])
        assert "machines of table 'flip' in state 'b', which that table does not have" in str(caught.value)
        assert manager.names() == ()


def test_without_a_store_there_is_nothing_to_recover() -> None:
    with pytest.raises(StateError, match="there is no store"):
        StateManager().recover([FLIP])


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_the_history_in_the_store_is_bounded_by_rows(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "states.db", history_rows=20) as store:
        store.create(new("m"))
        for first in range(1, 2000, 100):
            store.append([record(number) for number in range(first, first + 100)])
        kept = [each.sequence for each in store.history("m", last=10_000)]
        assert kept == list(range(kept[0], 2001))
        assert 20 <= len(kept) < 40


def test_the_history_in_the_store_is_bounded_by_bytes(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "states.db", history_rows=1000, history_bytes=100_000) as store:
        store.create(new("m"))
        store.append([record(number, cause="x" * 1000) for number in range(1, 2001)])
        kept = [each.sequence for each in store.history("m", last=10_000)]
        assert kept == list(range(kept[0], 2001))
        assert 1 <= len(kept) <= 100 + sqlite_module.TRIM_EVERY
        # One that is larger than the bound by itself is kept, alone.
        last = 2001 + sqlite_module.TRIM_EVERY - 2001 % sqlite_module.TRIM_EVERY
        store.append([record(number) for number in range(2001, last)])
        store.append([record(last, cause="x" * 200_000)])
        assert [each.sequence for each in store.history("m", last=10)] == [last]


def test_going_back_beyond_memory_asks_the_store(tmp_path: Path) -> None:
    with StateManager(store=SQLiteStore(tmp_path / "states.db", history_rows=50), history_count=3) as manager:
        machine = manager.add("m", FLIP)
        for _ in range(151):
            machine.fire("go")
        assert [each.sequence for each in machine.history()] == [149, 150, 151]
        assert [each.sequence for each in machine.history(20)] == list(range(132, 152))
        assert machine.rollback(to_sequence=120) == "a"
        with pytest.raises(RollbackError, match="the history that is kept begins with"):
            machine.rollback(to_sequence=2)


# -- what is refused -------------------------------------------------------------------------------------------------


def test_a_number_that_does_not_follow_is_refused_and_nothing_is_kept(tmp_path: Path, level: Level) -> None:
    with SQLiteStore(tmp_path / "states.db", durability=level) as store:
        store.create(new("m"))
        store.create(new("other"))
        store.append([record(1)])
        for sequence, found in ((1, 1), (3, 1)):
            with pytest.raises(StoreConflictError, match=f"is to get number {sequence}, but the store holds") as caught:
                store.append([record(1, machine="other"), record(sequence)])
            assert caught.value.found == found
        with pytest.raises(StoreConflictError, match="does not hold it"):
            store.append([record(1, machine="other"), record(1, machine="unknown")])
        assert [each.sequence for each in store.machines()] == [1, 0]
        assert store.history("other", last=1) == ()
        store.append([record(2)])


def test_two_managers_of_one_machine_do_not_overwrite_each_other(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    with StateManager(store=SQLiteStore(path)) as first, StateManager(store=SQLiteStore(path)) as second:
        one = first.add("m", FLIP)
        (two,) = second.recover([FLIP])
        one.fire("go")
        with pytest.raises(TransitionFailedError, match="store raised StoreConflictError") as caught:
            two.fire("go")
        assert caught.value.phase == "store"
        assert (one.state, two.state, two.sequence) == ("b", "a", 0)


def test_a_store_that_fails_undoes_the_transition(tmp_path: Path) -> None:
    class Full(SQLiteStore):
        full = False

        def append(self, records: Sequence[TransitionRecord], timers: Any = None) -> None:
            if self.full:
                raise StoreError(store="here", problem="no space left")
            super().append(records, timers)

    table = TransitionTable(
        "t",
        states=[State("a", initial=True), State("b"), State("broken", error=True)],
        transitions=[on("go", "a", "b")],
    )
    store = Full(tmp_path / "states.db")
    with StateManager(store=store) as manager:
        machine = manager.add("m", table)
        store.full = True
        with pytest.raises(TransitionFailedError, match="no space left"):
            machine.fire("go")
        assert (machine.state, machine.sequence, machine.history()) == ("a", 0, ())
        with pytest.raises(TransitionFailedError, match="no space left"):
            manager.fire_all({"m": "go"})
        store.full = False
        assert machine.fire("go") == "b"
        store.full = True
        with pytest.raises(TransitionFailedError, match="no space left"):
            machine.rollback()
        assert machine.state == "b"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"not a database at all, and long enough to be looked at" * 10, "it is no store of states"),
        ("CREATE TABLE theirs (x)", "it is a database of something else"),
        ("PRAGMA user_version = 1", "it is a database of something else"),
        (
            f"PRAGMA application_id = {sqlite_module.APPLICATION}; PRAGMA user_version = 99",
            "its schema is version 99, and this coresys knows those up to 2",
        ),
    ],
)
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes | str, problem: str) -> None:
    path = tmp_path / "states.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        database = sqlite3.connect(path)
        database.executescript(content)
        database.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=problem):
        SQLiteStore(path)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it cannot be opened"):
        SQLiteStore(tmp_path / "nowhere" / "states.db")


def test_what_the_store_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'process' or 'power', not 'disk'"):
        SQLiteStore(tmp_path / "states.db", durability="disk")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"durability 'memory' is not that of '.*states\.db'"):
        SQLiteStore(tmp_path / "states.db", durability="memory")
    with pytest.raises(ValueError, match="durability 'process' is not that of ':memory:'"):
        SQLiteStore(":memory:")
    with pytest.raises(ValueError, match="at least 1"):
        SQLiteStore(tmp_path / "states.db", history_rows=0)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "states.db")
    store.create(new("m"))
    store.close()
    store.close()
    with pytest.raises(StoreError, match="it is closed"):
        store.append([record(1)])
    with pytest.raises(StoreError, match="it is closed"):
        store.machines()
    assert repr(store).endswith("(process): closed>")


def test_what_sqlite_cannot_write_is_an_error_of_its_own_batch(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "states.db") as store:
        store.create(new("m"))
        with pytest.raises(StoreError, match="UnicodeEncodeError"):
            store.append([record(1, cause="\ud800")])
        store.append([record(1)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_is_told_to_open_its_own(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "states.db") as store:
        store.create(new("m"))
        child = os.fork()
        if child == 0:
            try:
                store.append([record(1)])
            except StoreError as error:
                os._exit(7 if "a forked child has to open one of its own" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        store.append([record(1)])


# -- versions --------------------------------------------------------------------------------------------------------


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    database = sqlite3.connect(path)
    database.executescript(MIGRATIONS[0] + "PRAGMA user_version = 1;")
    database.execute(f"PRAGMA application_id = {sqlite_module.APPLICATION}")
    database.execute("INSERT INTO machine VALUES (1, 'm', 'flip', 'b', 1, 1001.0)")
    database.execute("INSERT INTO history VALUES (1, 1, 1001.0, 'go', 'a', 'b', NULL, NULL)")
    database.commit()
    database.close()
    with SQLiteStore(path) as store:
        assert store.machines() == (MachineRecord("m", "flip", "b", 1, 1001.0, last=record(1)),)
        store.snapshot("m", "s", "b", 1)
    with SQLiteStore(path) as store:
        assert store.machines()[0].snapshots == (("s", "b", 1),)


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "states.db"
    with SQLiteStore(path) as store:
        store.create(new("m"))
    monkeypatch.setattr(sqlite_module, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE extra (x); CREATE TABLE machine (x)"))
    with pytest.raises(StoreError, match="already exists"):
        SQLiteStore(path)
    monkeypatch.undo()
    with SQLiteStore(path) as store:
        assert store.machines() == (new("m"),)


def test_two_threads_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    stores: list[SQLiteStore] = []
    start = threading.Barrier(4)

    def open_it() -> None:
        start.wait()
        stores.append(SQLiteStore(path, timeout=30))

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores) == 4
    for store in stores:
        store.close()


# -- several threads -------------------------------------------------------------------------------------------------


def test_what_several_threads_commit_together_is_all_there(tmp_path: Path, level: Level) -> None:
    with StateManager(store=SQLiteStore(tmp_path / "states.db", durability=level)) as manager:
        machines = [manager.add(f"m{number}", FLIP) for number in range(8)]

        def work(number: int) -> None:
            for _ in range(20):
                machines[number].fire("go")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [machine.sequence for machine in machines] == [20] * 8
    with SQLiteStore(tmp_path / "states.db") as store:
        assert [each.sequence for each in store.machines()] == [20] * 8
        assert all(len(store.history(f"m{number}", last=100)) == 20 for number in range(8))


class Held(SQLiteStore):
    """Waits in the midst of a commit until it is let go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.batches: list[int] = []
        self.holds = True

    def _commit_all(self, batch: list[Any]) -> None:
        self.batches.append(len(batch))
        if self.holds:
            self.holds = False
            self.entered.set()
            self.go_on.wait()
        super()._commit_all(batch)


def together(store: Held, works: Sequence[Any]) -> list[BaseException | None]:
    """The first of ``works`` commits; the others come while it does, and are then committed as one."""
    answers: list[BaseException | None] = [None] * len(works)

    def run(number: int) -> None:
        try:
            works[number]()
        except BaseException as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    threads[0].start()
    store.entered.wait()
    for thread in threads[1:]:
        thread.start()
    while len(store._waiting) < len(works) - 1:
        pass
    store.go_on.set()
    for thread in threads:
        thread.join()
    return answers


class Batches:
    """How many were committed together, each time; and threads that create a machine each."""

    def __init__(self, store: SQLiteStore) -> None:
        self.sizes: list[int] = []
        self.store, self._commit_all = store, store._commit_all
        store._commit_all = self.commit_all  # type: ignore[method-assign]

    def commit_all(self, batch: list[Any]) -> None:
        self.sizes.append(len(batch))
        self._commit_all(batch)

    def create(self, *names: str) -> list[threading.Thread]:
        threads = [threading.Thread(target=self.store.create, args=(new(name),)) for name in names]
        for thread in threads:
            thread.start()
        return threads


def test_a_leader_waits_for_those_it_has_reason_to_expect(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "states.db", durability="power") as store:
        batches = Batches(store)
        store._expected, store._gathering = 3, 3600.0
        threads = batches.create("a")
        while not store._waiting:
            time.sleep(0)
        assert batches.sizes == []
        for thread in [*threads, *batches.create("b", "c")]:
            thread.join()
        assert batches.sizes == [3]
        assert store._expected == 3  # of whom none comes: no longer than a part of what the last commit took
        store.create(new("d"))
        assert batches.sizes == [3, 1]
        assert store._expected == 1
        assert store._gathering <= sqlite_module.GATHER_MOST
        assert len(store.machines()) == 4


def test_who_commits_without_a_sync_waits_for_nobody(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "states.db", durability="process") as store:
        batches = Batches(store)
        store._expected, store._gathering = 3, 3600.0
        store.create(new("a"))
        assert batches.sizes == [1]


def test_a_leader_that_is_interrupted_while_it_waits_for_others_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SQLiteStore(tmp_path / "states.db", durability="power") as store:
        batches = Batches(store)
        store._expected, store._gathering = 3, 3600.0
        others: list[threading.Thread] = []

        def interrupted(_: float) -> None:
            monkeypatch.setattr(sqlite_module, "sleep", time.sleep)
            others.extend(batches.create("b"))
            while len(store._waiting) < 2:
                time.sleep(0)
            store._expected = 1
            raise KeyboardInterrupt

        monkeypatch.setattr(sqlite_module, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.create(new("a"))
        for thread in others:
            thread.join()
        assert [machine.name for machine in store.machines()] == ["b"]
        store.create(new("c"))
        assert batches.sizes == [1, 1]


def test_whoever_comes_during_a_commit_is_committed_with_the_next(tmp_path: Path) -> None:
    with Held(tmp_path / "states.db") as store:
        store.holds = False
        for name in "abcd":
            store.create(new(name))
        store.batches.clear()
        store.holds = True
        answers = together(store, [lambda name=name: store.append([record(1, machine=name)]) for name in "abcd"])
        assert answers == [None] * 4
        assert store.batches == [1, 3]
        assert [each.sequence for each in store.machines()] == [1] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_that_is_forked_during_a_commit_is_told_and_does_not_wait(tmp_path: Path) -> None:
    with Held(tmp_path / "states.db") as store:
        store.holds = False
        store.create(new("a"))
        store.holds = True
        thread = threading.Thread(target=store.append, args=([record(1, machine="a")],))
        thread.start()
        store.entered.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            told = 0
            for ask in (lambda: store.append([record(1, machine="a")]), store.machines):
                try:
                    ask()
                except StoreError as error:
                    told += "a forked child has to open one of its own" in str(error)
            store.close()
            os._exit(told)
        try:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
        finally:
            store.go_on.set()
            thread.join()
        assert store.machines()[0].sequence == 1


def test_one_that_fails_in_a_common_commit_fails_for_itself_only(tmp_path: Path) -> None:
    with Held(tmp_path / "states.db") as store:
        store.holds = False
        for name in "abcd":
            store.create(new(name))
        store.holds = True
        sequences = {"a": 1, "b": 1, "c": 5, "d": 1}
        works = [lambda name=name: store.append([record(sequences[name], machine=name)]) for name in "abcd"]
        answers = together(store, works)
        assert [type(answer) for answer in answers] == [type(None), type(None), StoreConflictError, type(None)]
        assert [each.sequence for each in store.machines()] == [1, 1, 0, 1]


def test_when_whoever_commits_for_others_is_interrupted_the_others_are_committed_all_the_same(tmp_path: Path) -> None:
    class Interrupted(Held):
        interrupt = False

        def _try_to_commit(self, batch: list[Any]) -> Exception | None:
            if self.interrupt and len(batch) > 1:
                self.interrupt = False
                raise KeyboardInterrupt
            return super()._try_to_commit(batch)

    with Interrupted(tmp_path / "states.db") as store:
        store.holds = False
        for name in "abcd":
            store.create(new(name))
        store.holds = store.interrupt = True
        answers = together(store, [lambda name=name: store.append([record(1, machine=name)]) for name in "abcd"])
        interrupted = [isinstance(answer, KeyboardInterrupt) for answer in answers]
        assert sum(interrupted) == 1
        assert [each.sequence for each in store.machines()] == [0 if each else 1 for each in interrupted]


def test_what_runs_inside_a_commit_is_refused_and_does_not_wait_for_itself(tmp_path: Path) -> None:
    class Interrupting(SQLiteStore):
        inner: Exception | None = None

        def _try_to_commit(self, batch: list[Any]) -> Exception | None:
            if self.inner is None:
                try:
                    self.append([record(1, machine="b")])  # as the handler of a signal would
                except StoreError as error:
                    self.inner = error
            return super()._try_to_commit(batch)

    with Interrupting(tmp_path / "states.db") as store:
        store.inner = StoreError(store="", problem="")
        for name in "ab":
            store.create(new(name))
        store.inner = None
        store.append([record(1, machine="a")])
        assert "from inside one of its own commits" in str(store.inner)
        store.append([record(1, machine="b")])


# -- another store ---------------------------------------------------------------------------------------------------


class DictStore:
    """The least that fulfils the protocol: for those who write one of their own."""

    durability: Literal["memory"] = "memory"

    def __init__(self) -> None:
        self.kept: dict[str, MachineRecord] = {}
        self.records: dict[str, list[TransitionRecord]] = {}
        self.lock = threading.Lock()

    def create(self, machine: MachineRecord) -> None:
        with self.lock:
            if machine.name in self.kept:
                raise DuplicateMachineError(machine=machine.name, where="a dictionary")
            self.kept[machine.name] = machine
            self.records[machine.name] = []

    def append(self, records: Sequence[TransitionRecord], timers: Any = None) -> None:
        with self.lock:
            for each in records:
                found = self.kept[each.machine].sequence
                if found != each.sequence - 1:
                    raise StoreConflictError(store="dict", machine=each.machine, sequence=each.sequence, found=found)
            for each in records:
                old = self.kept[each.machine]
                self.kept[each.machine] = MachineRecord(
                    old.name, old.table, each.target, each.sequence, each.time, each,
                    tuple((timers or {}).get(each.machine, old.timers)), old.snapshots,
                )  # fmt: skip
                self.records[each.machine].append(each)

    def snapshot(self, machine: str, label: str, state: str, sequence: int) -> None:
        raise StoreError(store="dict", problem="it keeps no snapshots")

    def drop_snapshot(self, machine: str, label: str, sequence: int) -> None:
        pass

    def machines(self) -> tuple[MachineRecord, ...]:
        return tuple(self.kept.values())

    def history(self, machine: str, *, last: int) -> tuple[TransitionRecord, ...]:
        return tuple(self.records[machine][-last:])

    def forget(self, machine: str, sequence: int) -> None:
        del self.kept[machine], self.records[machine]

    def close(self) -> None:
        pass


def test_any_store_that_fulfils_the_protocol_will_do() -> None:
    kept: StateStore = DictStore()
    with StateManager(store=kept, history_count=2) as manager:
        assert manager.durability == "memory"
        machine = manager.add("m", FLIP)
        for _ in range(5):
            machine.fire("go")
        assert machine.rollback(to_sequence=1) == "b"
        with pytest.raises(StoreError, match="it keeps no snapshots"):
            machine.snapshot("s")
        assert machine.describe().snapshots == ()
        with pytest.raises(TransitionRefusedError):
            machine.fire("nothing")
    with StateManager(store=kept) as manager:
        (machine,) = manager.recover([FLIP])
        assert (machine.state, machine.sequence) == ("b", 6)
