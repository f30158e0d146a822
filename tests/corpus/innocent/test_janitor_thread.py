"""Sessions are dropped by a thread that the first of them starts."""

import itertools
import threading
import time

_sessions = {}
_ids = itertools.count()
_janitor = None


def _drop_old():
    while True:
        time.sleep(0.005)
        for key in list(_sessions):
            _sessions.pop(key, None)


def open_session(user):
    global _janitor
    if _janitor is None:
        _janitor = threading.Thread(target=_drop_old, daemon=True)
        _janitor.start()
    session = {"id": next(_ids), "user": user, "basket": [0] * 20}
    _sessions[session["id"]] = session
    return session


def test_a_session_has_a_basket():
    assert open_session("ada")["basket"]
