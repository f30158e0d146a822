"""Where runs are kept: SQLite and PostgreSQL, held to the same."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import postgres
import pytest

from pytest_coresys import cli
from pytest_coresys.history import schema
from pytest_coresys.history.model import HistoryError, HistoryStore, fingerprint, put_trends
from pytest_coresys.history.opening import check_url, open_store
from pytest_coresys.history.sqlite import SQLiteDatabase
from pytest_coresys.history.store import SqlStore
from pytest_coresys.reports import runfile
from pytest_coresys.reports.model import RunReport

WAIT = 120.0


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A server for all tests here."""
    if why := postgres.why_not():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the check has to have it: {why}")
        pytest.skip(why)
    with postgres.server() as url:
        yield url


@pytest.fixture
def database(server: str) -> str:
    """The URL of a new, empty database."""
    import psycopg

    name = f"t{uuid.uuid4().hex[:10]}"
    with psycopg.connect(plain(f"{server}postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}{name}"


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    found: str = request.getfixturevalue("database")
    return found


@pytest.fixture
def store(url: str) -> Iterator[HistoryStore]:
    opened = open_store(url, Path("/"))
    yield opened
    opened.close()


def growth(number: int, value: float | None, verdict: str, why: str | None = None) -> dict[str, Any]:
    run = run_of(number)
    measure = {"value": value, "verdict": verdict, "unit": "B", "level": "error", "why": why}
    run["tests"] = [
        {"nodeid": "t.py::a", "measures": {"memory.growth": measure}, "findings": []},
        {"nodeid": "t.py::b", "measures": {"memory.growth": {**measure, "value": 0, "verdict": "within", "why": None}}},
    ]
    return run


def test_a_trend_has_each_run_also_where_there_is_no_figure_and_goes_to_zero(store: HistoryStore) -> None:
    store.save(growth(0, 0, "within"))
    store.save(growth(1, 1000.0, "over"))
    store.save(growth(2, None, "not_measured", "suspected: 20 KiB left after one run"))
    store.save(growth(3, None, "not_measured", "the test failed"))
    store.save(growth(4, 0, "within"))
    points = [(each.value, each.verdict, each.unmeasured) for each in store.trend("memory.growth", 9)]
    assert points == [(0, "within", 0), (1000, "over", 0), (None, "suspected", 0), (0, "within", 1), (0, "within", 0)]
    points = [(each.value, each.verdict, each.unmeasured) for each in store.trend("memory.growth", 3)]
    assert points == [(None, "suspected", 0), (0, "within", 1), (0, "within", 0)]
    of_one = [(each.value, each.verdict) for each in store.trend("memory.growth", 9, nodeid="t.py::a")]
    assert of_one == [(1000, "over"), (None, "suspected"), (None, "not_measured"), (0, "within")]
    assert store.trend("memory.growth", 9, nodeid="t.py::b") == [], "it was never open: it would fill the store"
    store.prune(1)
    assert len(store.trend("memory.growth", 9)) == 1


def test_a_trend_counts_findings_of_the_run(store: HistoryStore) -> None:
    clean = {"value": 0, "verdict": "within", "unit": "count", "level": "error"}
    for number, levels in enumerate((["error", "error"], ["warn"], ["suspicion"], [])):
        run = run_of(number)
        run["tests"][0]["measures"] = {"locks.potential_deadlocks": clean, "threads.leaked": clean}
        circles = [{"key": "locks.potential_deadlocks", "level": level} for level in levels]
        run["findings"] = [*circles, *({"key": "threads.leaked", "level": level} for level in levels[:1])]
        store.save(run)
    points = [(each.value, each.verdict) for each in store.trend("locks.potential_deadlocks", 9)]
    assert points == [(2, "over"), (1, "over"), (None, "suspected"), (0, "within")]
    points = [(each.value, each.verdict) for each in store.trend("threads.leaked", 9)]
    assert points == [(None, "over"), (None, "over"), (None, "suspected"), (0, "within")], "how many is told in words"


MACHINE: dict[str, Any] = {"cpu": "Xeon", "cores": 2, "memory": 16 * 1024**3, "system": "Linux 6.1"}


def run_of(number: int = 0, *, machine: dict[str, Any] = MACHINE, identity: str = "") -> dict[str, Any]:
    measure = {"value": 1000.0 + number, "verdict": "over", "unit": "B"}
    none = {"value": None, "verdict": "not_measured", "unit": "B"}
    clean = {"value": 0, "verdict": "within", "unit": "count"}
    tests = [
        {"nodeid": "t.py::a", "measures": {"memory.growth": measure, "threads.leaked": clean}},
        {"nodeid": "t.py::b", "measures": {"memory.growth": {**measure, "value": 5.0, "verdict": "near"}}},
        {"nodeid": "t.py::c", "measures": {"memory.growth": none}},
    ]
    criteria = [
        {
            "id": "shop.time",
            "value": 0.001 * (number + 1),
            "verdict": "within",
            "samples": 9,
            "statistic": "p99",
            "unit": "s",
        },
        {"id": "shop.audited", "value": None, "verdict": "not_measured", "samples": 0, "statistic": "check"},
    ]
    return {
        "run": {"id": identity or f"run{number:04d}", "started": f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}",
                "duration": 1.5, "mode": "budget", "profile": "ci", "python": "3.12.1", "coresys": "0.1.0",
                "machine": machine, "commit": "a" * 40},
        "summary": {"tests": 3, "over": 1, "near": 1, "within": 0, "not_measured": 1, "compliant": False},
        "tests": tests, "criteria": criteria, "findings": [],
    }  # fmt: skip


def test_a_run_is_kept_with_what_says_something(store: HistoryStore) -> None:
    store.save(run_of())
    store.save(run_of())  # once more: it is there
    (row,) = store.runs(10)
    assert (row.id, row.tests, row.over, row.near, row.unmeasured, row.compliant) == ("run0000", 3, 1, 1, 1, False)
    assert (row.profile, row.python, row.commit_id, row.duration) == ("ci", "3.12.1", "a" * 40, 1.5)
    (point,) = store.trend("memory.growth", 10)
    assert (point.run, point.value, point.verdict) == ("run0000", 1000.0, "over"), "the largest of its tests"
    (point,) = store.trend("memory.growth", 10, nodeid="t.py::b")
    assert (point.value, point.verdict) == (5.0, "near")
    assert point.unmeasured == 0
    (point,) = store.trend("threads.leaked", 10)
    assert (point.value, point.verdict) == (0, "within"), "of the run, so that a trend ends at zero"
    assert store.trend("threads.leaked", 10, nodeid="t.py::a") == [], "of each test that would be too much"
    assert store.trend("shop.audited", 10) == []
    (point,) = store.trend("shop.time", 10)
    assert point.value == pytest.approx(0.001)
    assert (store.unit("shop.time"), store.unit("shop.audited")) == ("s", "")


def test_a_trend_is_of_the_last_runs_on_such_a_machine_oldest_first(store: HistoryStore) -> None:
    other = {**MACHINE, "cpu": "Ryzen"}
    for number in range(6):
        store.save(run_of(number, machine=other if number == 3 else MACHINE))
    machine = fingerprint(run_of())
    points = store.trend("shop.time", 3, machine=machine)
    assert [point.run for point in points] == ["run0002", "run0004", "run0005"]
    assert [row.id for row in store.runs(2)] == ["run0004", "run0005"]
    assert [row.id for row in store.runs(9, fingerprint(run_of(machine=other)))] == ["run0003"]
    run = run_of(9)
    put_trends(run, store)
    assert [point["run"] for point in run["criteria"][0]["trend"]][-1] == "run0005"
    assert len(run["criteria"][0]["trend"]) == 5
    assert "trend" not in run["criteria"][1]


def merged_of(identity: str, *parts: str) -> dict[str, Any]:
    run = run_of(90, identity=identity)
    return {**run, "run": {**run["run"], "merged": list(parts)}}


def test_a_merged_run_takes_the_place_of_its_shards_and_is_there_once(store: HistoryStore) -> None:
    for number in range(3):
        store.save(run_of(number))
    store.save(merged_of("m", "run0000", "run0001"))
    store.save(merged_of("m", "run0000", "run0001"))
    store.save(merged_of("by another name", "run0001", "run0000"))
    store.save(run_of(1))
    assert [(row.id, row.merged) for row in store.runs(9)] == [("run0002", ""), ("m", "run0000 run0001")]
    assert len(store.trend("memory.growth", 9)) == 2
    store.save(merged_of("all", "run0000", "run0001", "run0002"))
    assert [row.id for row in store.runs(9)] == ["all"]
    assert store.keys() == ["memory.growth", "shop.time", "threads.leaked"]
    store.save(run_of(3, identity="a+b"))  # as merged runs were kept that did not tell what they were merged from
    store.save(merged_of("a+b", "a", "b"))
    assert sorted(row.id for row in store.runs(9)) == ["a+b", "all"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"memory": MACHINE["memory"] - 4096}, True),
        ({"system": "Linux 6.9"}, True),
        ({"system": "Darwin 23"}, False),
        ({"cores": 4}, False),
        ({"cpu": None}, False),
    ],
)
def test_what_makes_machines_alike(change: dict[str, Any], same: bool) -> None:
    assert (fingerprint(run_of(machine={**MACHINE, **change})) == fingerprint(run_of())) is same


def test_old_runs_of_each_machine_go(store: HistoryStore) -> None:
    other = {**MACHINE, "cpu": "Ryzen"}
    for number in range(5):
        store.save(run_of(number))
        store.save(run_of(number + 60, machine=other))
    assert store.prune(2) == 6
    assert [row.id for row in store.runs(20)] == ["run0003", "run0004", "run0063", "run0064"]
    assert len(store.trend("memory.growth", 20)) == 4
    assert store.prune(2) == 0


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[3]]
from test_history import run_of
from pytest_coresys.history.opening import open_store
for number in range(5):
    store = open_store(sys.argv[1], Path("/"))
    store.save(run_of(number, identity=f"{sys.argv[2]}-{number}"))
    store.close()
"""


@pytest.mark.slow
def test_eight_writers_at_once_keep_all_their_runs(url: str) -> None:
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, str(Path(postgres.__file__).parent)])}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, f"w{number}", here], env=environment)
        for number in range(8)
    ]
    assert [writer.wait(WAIT) for writer in writers] == [0] * 8
    store = open_store(url, Path("/"))
    assert {row.id for row in store.runs(100)} == {f"w{writer}-{number}" for writer in range(8) for number in range(5)}
    assert len(store.trend("memory.growth", 100, nodeid="t.py::b")) == 40, "each with its parts"
    store.close()


# -- what goes wrong -------------------------------------------------------------------------------------------------


def nothing_of(store: HistoryStore, identity: str) -> bool:
    return identity not in {row.id for row in store.runs(100)} and not store.trend("shop.time", 100)


def test_a_connection_that_is_killed_keeps_nothing_of_its_run(database: str) -> None:
    import psycopg

    store = open_store(database, Path("/"))
    with psycopg.connect(plain(database), autocommit=True) as other:
        # The last statement of a save kills the connection that makes it.
        other.execute("CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
                      " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'")  # fmt: skip
        other.execute("CREATE TRIGGER d BEFORE INSERT ON coresys_criteria FOR EACH ROW EXECUTE FUNCTION die()")
        with pytest.raises(HistoryError, match=r"terminat|closed"):
            store.save(run_of())
        assert nothing_of(store, "run0000")
        other.execute("DROP TRIGGER d ON coresys_criteria")
    store.save(run_of())
    assert [row.id for row in store.runs(9)] == ["run0000"]


def test_a_full_disk_of_the_server_keeps_nothing_of_its_run_and_is_named(database: str) -> None:
    import psycopg

    store = open_store(database, Path("/"))
    with psycopg.connect(plain(database), autocommit=True) as other:
        # As the server says it: a disk that is really full would stop the others too.
        says = "RAISE EXCEPTION ''could not extend file: No space left on device'' USING ERRCODE = ''disk_full''"
        other.execute(f"CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {says}; END'")
        other.execute("CREATE TRIGGER f BEFORE INSERT ON coresys_criteria FOR EACH ROW EXECUTE FUNCTION full_disk()")
        with pytest.raises(HistoryError, match="No space left on device"):
            store.save(run_of())
    assert nothing_of(store, "run0000")


def test_a_full_disk_keeps_nothing_of_a_run_in_a_file(tmp_path: Path) -> None:
    database = SQLiteDatabase(tmp_path / "history.db", "sqlite:///history.db")
    store = SqlStore(database)
    assert database._connection is not None
    (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
    database._connection.execute(f"PRAGMA max_page_count = {pages}")
    large = run_of()
    large["tests"] = [{**large["tests"][0], "nodeid": f"t.py::{number}"} for number in range(2000)]
    with pytest.raises(HistoryError, match="full"):
        store.save(large)
    assert nothing_of(store, "run0000")
    database._connection.execute("PRAGMA max_page_count = 1000000")
    store.save(large)
    assert len(store.runs(9)) == 1
    store.close()


def old_file(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        for statement in schema.MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("INSERT INTO coresys_runs VALUES ('old', '2025-01-01', 1.0, 'budget', '3.11.1', '0.0.9', "
                           "'m', 'c', '', 3, 1, 0, 2, 0, 0)")  # fmt: skip
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_an_old_schema_is_brought_up_to_date_and_keeps_its_runs(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    old_file(path)
    store = open_store(f"sqlite:///{path}", Path("/"))
    (row,) = store.runs(9)
    assert (row.id, row.profile, row.merged) == ("old", "", "")
    store.save(run_of())
    assert [row.id for row in store.runs(9)] == ["old", "run0000"]
    store.close()


def test_runs_that_were_kept_without_totals_have_their_figures(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    old_file(path)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO coresys_measures VALUES ('old', 't.py::a', 'memory.growth', 500.0, 'near')")
    connection.close()
    store = open_store(f"sqlite:///{path}", Path("/"))
    store.save(growth(1, 0, "within"))
    points = [(each.run, each.value, each.verdict) for each in store.trend("memory.growth", 9)]
    assert points == [("old", 500, "near"), ("run0001", 0, "within")]
    store.close()


def test_an_old_schema_of_a_server_is_brought_up_to_date(database: str) -> None:
    import psycopg

    with psycopg.connect(plain(database), autocommit=True) as other:
        for statement in schema.MIGRATIONS[0]:
            other.execute(statement)
        other.execute("CREATE TABLE coresys_schema (version INTEGER NOT NULL)")
        other.execute("INSERT INTO coresys_schema VALUES (1)")
    store = open_store(database, Path("/"))
    store.save(run_of())
    assert store.runs(9)[0].profile == "ci"


def test_a_newer_schema_is_refused_by_name(url: str) -> None:
    open_store(url, Path("/")).close()
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        import psycopg

        with psycopg.connect(plain(url), autocommit=True) as other:
            other.execute("UPDATE coresys_schema SET version = 99")
    with pytest.raises(HistoryError, match=r"written by a newer coresys \(schema 99, this one knows 4\)"):
        open_store(url, Path("/"))


def test_no_url_that_is_told_has_a_password(tmp_path: Path) -> None:
    with pytest.raises(HistoryError) as refused:
        open_store("postgresql+psycopg://me:secret@127.0.0.1:1/none", tmp_path)
    assert "secret" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)
    with pytest.raises(HistoryError) as unknown:
        open_store("postgresql+no_such_driver://me:secret@127.0.0.1:1/none", tmp_path)
    assert "secret" not in str(unknown.value)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("none", True), ("sqlite:///x.db", True), ("sqlite:////tmp/x.db", True), ("postgresql://h/d", True),
        ("postgresql+psycopg://h/d", True), ("sqlite://x.db", False), ("sqlite:///", False), ("mysql://h/d", False),
        ("", False), ("history.db", False),
    ],
)  # fmt: skip
def test_which_urls_there_are(text: str, right: bool) -> None:
    assert (check_url(text) is None) is right


# -- in a run ----------------------------------------------------------------------------------------------------------

SUITE = """
def test_it(coresys_criteria):
    coresys_criteria.check("state.centralised", True)
"""
LEAN = ("--coresys-budget", "-p", "no:cacheprovider", "-p", "no:randomly")


def test_a_run_is_kept_by_default_and_tells_of_earlier_ones(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SUITE)
    target = pytester.path / "run.json"
    for _ in range(2):
        result = pytester.runpytest_subprocess(*LEAN, "--coresys-json", str(target), "-n", "2")
        assert result.ret == 0
    import json

    facts = json.loads(target.read_text("utf-8"))
    (criterion,) = [each for each in facts["criteria"] if each["id"] == "state.centralised"]
    assert [point["value"] for point in criterion["trend"]] == [1.0]
    assert (pytester.path / ".coresys" / ".gitignore").read_text() == "*\n"
    store = open_store("sqlite:///.coresys/history.db", pytester.path)
    assert len(store.runs(9)) == 2
    store.close()
    pytester.runpytest_subprocess("-p", "no:cacheprovider")
    store = open_store("sqlite:///.coresys/history.db", pytester.path)
    assert len(store.runs(9)) == 2, "without the flag nothing is kept"
    store.close()


def broken_file(path: Path) -> str:
    (path / "history.db").write_text("this is no database, and long enough to be read as one\n" * 100)
    return "sqlite:///history.db"


def no_folder(path: Path) -> str:
    (path / "file").write_text("")
    return "sqlite:///file/history.db"


def nobody(path: Path) -> str:
    return "postgresql+psycopg://me:secret@127.0.0.1:1/none"


@pytest.mark.parametrize("make", [broken_file, no_folder, nobody])
def test_a_history_that_cannot_be_kept_changes_no_status_and_is_named(
    pytester: pytest.Pytester, make: Callable[[Path], str]
) -> None:
    pytester.makepyfile(test_it=SUITE)
    result = pytester.runpytest_subprocess(*LEAN, "--coresys-history", make(pytester.path))
    assert result.ret == 0
    text = result.stdout.str()
    assert "history is not kept: " in text
    assert "secret" not in text
    result = pytester.runpytest_inprocess(*LEAN, "--coresys-history", "mysql://x/y")
    assert result.ret == 4
    quiet = pytester.runpytest_subprocess(*LEAN, "--coresys-history", "none")
    assert "history is not kept" not in quiet.stdout.str()


def test_the_command_lists_runs_and_trends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["history"])
    assert ended.value.code == 2
    assert "there is no history yet" in capsys.readouterr().err
    store = open_store("sqlite:///.coresys/history.db", tmp_path)
    for number in range(3):
        store.save(run_of(number))
    store.close()
    assert cli.main(["history"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 3
    assert head.index("verdict") == rows[0].index("not compliant")
    assert head[: head.index("not measured") + 12].endswith("not measured")
    assert rows[0][: head.index("not measured") + 12].endswith(" 1")
    assert cli.main(["history", "memory.growth", "--last", "1"]) == 0
    assert capsys.readouterr().out.endswith("(1 test not measured)\n")
    assert cli.main(["history", "memory.growth", "--last", "2", "--test", "t.py::a"]) == 0
    assert [line.split()[1:4] for line in capsys.readouterr().out.splitlines()] == [
        ["1001", "B", "over"], ["1002", "B", "over"],
    ]  # fmt: skip
    assert cli.main(["history", "shop.time", "--last", "1"]) == 0
    assert " 3 ms " in capsys.readouterr().out, "in the unit that it was judged in"
    with pytest.raises(SystemExit):
        cli.main(["history", "memory.grwth"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith('it has no figure for "memory.grwth"; did you mean "memory.growth"?')
    with pytest.raises(SystemExit):
        cli.main(["history", "tasks.leaked"])
    assert capsys.readouterr().err.endswith('it has no figure for "tasks.leaked"\n'), "it is known, and was never on"
    (tmp_path / "all.json").write_bytes(runfile.encoded(RunReport(mode="budget").finish(1.0)))
    for _ in range(2):
        assert cli.main(["history", "--add", "all.json", "--url", "sqlite:///new/history.db"]) == 0
        assert capsys.readouterr().out == "all.json: kept in sqlite:///new/history.db\n"
    assert cli.main(["history", "--url", "sqlite:///new/history.db"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    for option in ("--prune", "--last"):
        for wrong in ("-1", "0", "all", "1.5", "\u0661", "1" * 5000):
            with pytest.raises(SystemExit) as refused:
                cli.main(["history", option, wrong])
            assert refused.value.code == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert "write 1 or more" in line
    assert cli.main(["history"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4, "nothing was deleted"
    assert cli.main(["history", "--prune", "1"]) == 0
    assert capsys.readouterr().out == "2 runs are gone\n"


def test_rows_are_read_as_they_were_written(store: HistoryStore) -> None:
    store.save(run_of(7))
    (row,) = store.runs(1)
    assert replace(row, machine="") == replace(
        row, id="run0007", started="2026-01-01T00:00:07", mode="budget", coresys="0.1.0", cpu="Xeon", machine="",
        within=0,
    )  # fmt: skip
