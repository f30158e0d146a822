"""An in-memory database, closed."""
import sqlite3
from contextlib import closing


def test_db():
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("create table t (x)")
        db.executemany("insert into t values (?)", [(i,) for i in range(100)])
        assert db.execute("select sum(x) from t").fetchone()[0] == 4950
