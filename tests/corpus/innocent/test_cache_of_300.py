"""A cache that takes 300 runs to fill, then evicts."""
import itertools

MAX = 300
_sessions = {}
_ids = itertools.count()


def new_session():
    sid = next(_ids)
    _sessions[sid] = {"id": sid, "data": "." * 400}
    if len(_sessions) > MAX:
        del _sessions[sid - MAX]
    return _sessions[sid]


def test_new_session():
    assert new_session()["data"]
