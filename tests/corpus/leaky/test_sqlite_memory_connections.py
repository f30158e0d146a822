"""In-memory databases opened per test, kept open."""
import sqlite3

LEAKS = "memory.growth"
connections = []


def connect():
    db = sqlite3.connect(":memory:")
    connections.append(db)
    db.execute("create table t (a integer, b text)")
    return db


def test_insert():
    db = connect()
    db.execute("insert into t values (1, 'x')")
    assert db.execute("select count(*) from t").fetchone() == (1,)
