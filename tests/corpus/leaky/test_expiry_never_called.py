"""There is a method that drops what is too old. Nobody calls it."""

LEAKS = "memory.growth"

import time
import uuid


class Sessions:
    def __init__(self, ttl=60):
        self.ttl = ttl
        self.by_id = {}

    def open(self):
        session = {"id": uuid.uuid4().hex, "since": time.time()}
        self.by_id[session["id"]] = session
        return session

    def close(self, session):
        session["closed"] = True

    def expire(self):
        now = time.time()
        for key in [key for key, each in self.by_id.items() if now - each["since"] > self.ttl]:
            del self.by_id[key]


sessions = Sessions()


def test_a_session_is_closed():
    session = sessions.open()
    sessions.close(session)
    assert session["closed"]
