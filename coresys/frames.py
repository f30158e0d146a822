"""The frames of all threads, without the deadlock that CPython before 3.11.9 has there.

``sys._current_frames`` holds a lock of the interpreter's while it makes objects. Until 3.12 the collector may run
whenever one is made, and with it finalizers and ``gc.callbacks`` (Hypothesis has one), which are Python: another thread
gets the interpreter then, and waits for that lock with it in hand, if it starts a thread, for ever
(https://github.com/python/cpython/issues/106883). So the collector is put off for the call, as 3.11.9 does itself.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from collections.abc import Callable
from types import FrameType

from coresys.collector import put_off

_current_frames: Callable[[], dict[int, FrameType]] = sys._current_frames


def _without_collector() -> dict[int, FrameType]:
    with put_off():
        found = _current_frames()
    found[get_ident()] = sys._getframe(1)  # this thread is where it called, not in here
    return found


current_frames = _current_frames if sys.version_info >= (3, 11, 9) else _without_collector
"""As ``sys._current_frames``."""

__all__ = ["current_frames"]
