"""A dict that keeps itself to a size, and a handler of the standard library that does: neither is full in time."""

import logging
import logging.handlers
import uuid


class Recent(dict):
    limit = 3000

    def __setitem__(self, key, value):
        while len(self) >= self.limit:
            self.pop(next(iter(self)))
        super().__setitem__(key, value)


recent = Recent()
buffered = logging.handlers.MemoryHandler(4000, flushLevel=logging.CRITICAL, target=logging.NullHandler())
log = logging.getLogger("audit")
log.propagate = False
log.setLevel(logging.INFO)
log.addHandler(buffered)


def test_the_last_ones_are_known():
    key = uuid.uuid4().hex
    recent[key] = 1
    assert key in recent


def test_it_is_logged():
    log.info("somebody did %s", "something")
    assert buffered.buffer
