"""Loaded as a plugin before ours: a module with locks that are older than any watch."""
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
