"""Locks inside of context managers that generators make."""
import threading
from contextlib import contextmanager

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Database:
    def __init__(self):
        self.connection_lock, self.schema_lock = threading.RLock(), threading.RLock()

    @contextmanager
    def connection(self):
        with self.connection_lock:  # SITE
            yield self

    @contextmanager
    def schema(self):
        with self.schema_lock:  # SITE
            yield {"users": ["name"]}


def test_migrate_and_query():
    database = Database()
    with database.connection(), database.schema() as schema:
        assert "users" in schema
    with database.schema(), database.connection() as connection:
        assert connection is database
