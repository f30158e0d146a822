"""A table that keeps the newest twenty rows. The connection itself remembers dead cursors, up to some hundreds."""

import sqlite3

database = sqlite3.connect(":memory:", check_same_thread=False)
database.execute("create table log (id integer primary key, message text)")


def record(message):
    database.execute("insert into log (message) values (?)", (message,))
    database.execute("delete from log where id <= (select max(id) from log) - 20")
    database.commit()


def test_a_login_is_recorded():
    record("ada came in")
    newest = database.execute("select message from log order by id desc limit 1").fetchone()
    assert newest == ("ada came in",)
    assert database.execute("select count(*) from log").fetchone()[0] <= 20
