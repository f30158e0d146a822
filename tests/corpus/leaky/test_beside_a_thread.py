"""A thread of the module is up, and has nothing to do with what is kept."""

import threading
import time

LEAKS = "memory.growth"

_beats = 0
_seen = []


def _beat():
    global _beats
    while True:
        time.sleep(0.05)
        _beats += 1


def handle(request):
    if not _seen:
        threading.Thread(target=_beat, daemon=True).start()
    _seen.append(request)
    return request["path"]


def test_a_request_is_handled():
    assert handle({"path": "/"}) == "/"
