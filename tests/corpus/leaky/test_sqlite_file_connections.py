"""One connection per request to a database file, kept."""
import sqlite3

import pytest

LEAKS = "descriptors.leaked"
ALONE = "a test that opens a database file is repeated only if it is the last one"
_connections = []


@pytest.fixture(scope="session")
def db_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "app.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("create table users (name text)")
        db.execute("insert into users values ('ann')")
    db.close()
    return path


def get_user(path):
    con = sqlite3.connect(path)
    _connections.append(con)
    return con.execute("select name from users").fetchone()[0]


def test_user(db_path):
    assert get_user(db_path) == "ann"
