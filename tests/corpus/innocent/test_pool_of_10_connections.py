"""A pool that grows to ten now and then; each connection drops its dead cursors by the two hundred."""

import random
import sqlite3

FREE = []
MADE = 0


def acquire():
    global MADE
    if FREE and (MADE >= 10 or random.random() < 0.9):
        return FREE.pop()
    MADE += 1
    return sqlite3.connect(":memory:")


def test_select():
    connection = acquire()
    assert connection.execute("select 1").fetchone() == (1,)
    FREE.append(connection)
