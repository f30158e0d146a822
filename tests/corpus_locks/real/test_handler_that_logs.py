"""A handler with a lock of its own logs while it holds it, and comes back to itself."""
import logging
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"

log = logging.getLogger("corpus.self")


class Buffered(logging.Handler):
    def __init__(self):
        super().__init__()
        self.buffer_lock, self.lines = threading.Lock(), []

    def emit(self, record):
        with self.buffer_lock:  # SITE
            self.lines.append(record.getMessage())
            if len(self.lines) == 2:
                log.warning("flushing")


def test_two_lines():
    handler = Buffered()
    log.addHandler(handler)
    try:
        log.warning("one")
        log.warning("two")
    finally:
        log.removeHandler(handler)
