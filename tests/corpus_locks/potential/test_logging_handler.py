"""A handler takes the lock of the application, which logs while it holds that lock."""
import logging
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

log = logging.getLogger("corpus.app")
state_lock = threading.RLock()
state = {"user": "anna"}


class WithState(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        with state_lock:  # SITE
            self.lines.append(f"{state['user']}: {record.getMessage()}")


def rename(name):
    with state_lock:  # SITE
        state["user"] = name
        log.warning("renamed")  # SITE


def test_lines_carry_the_user():
    handler = WithState()
    log.addHandler(handler)
    try:
        log.warning("hello")  # SITE
        rename("ben")
    finally:
        log.removeHandler(handler)
    assert handler.lines == ["anna: hello", "ben: renamed"]
