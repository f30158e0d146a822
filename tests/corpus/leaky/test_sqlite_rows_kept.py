"""A log table in a database in memory that nobody ever prunes: some 100 bytes in each run, in pages of C."""

import sqlite3

LEAKS = "memory.growth"

database = sqlite3.connect(":memory:", check_same_thread=False)
database.execute("create table log (id integer primary key, message text)")

MESSAGE = "ada.lovelace@example.org came in from 192.0.2.17 with a new browser, at the third attempt"


def record(message):
    database.execute("insert into log (message) values (?)", (message,))
    database.commit()


def test_a_login_is_recorded():
    record(MESSAGE)
    newest = database.execute("select message from log order by id desc limit 1").fetchone()
    assert newest == (MESSAGE,)
