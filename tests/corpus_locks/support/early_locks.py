"""Loaded as a plugin before ours: a module with locks that are older than any watch.

It also tells the driver how long each test took.
"""
import json
import os
from threading import Lock, RLock

STORE = Lock()
INDEX = RLock()
FLUSH = Lock()
SWEEP = Lock()


class Registry:
    guard = Lock()
    names = Lock()


class Session:
    """Made later, but by the name that was imported before."""

    def __init__(self):
        self.state = Lock()
        self.wire = Lock()


_seconds = {}


def pytest_runtest_logreport(report):
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration


def pytest_unconfigure():
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with open(os.environ["LOCKS_SECONDS"], "w", encoding="utf-8") as file:
            json.dump(_seconds, file)
