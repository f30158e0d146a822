"""A journal in a database in memory, trimmed to its last 200 rows."""
import sqlite3

db = sqlite3.connect(":memory:", check_same_thread=False)
db.execute("create table journal (id integer primary key, text)")


def note(text):
    with db:
        db.execute("insert into journal (text) values (?)", (text,))
        db.execute("delete from journal where id <= (select max(id) from journal) - 200")


def test_note():
    note("started " + "x" * 200)
    assert db.execute("select count(*) from journal").fetchone()[0] <= 200
