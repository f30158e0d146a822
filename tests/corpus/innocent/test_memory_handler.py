"""A logging MemoryHandler that writes out at every 150th record."""
import logging
import logging.handlers

import pytest

log = logging.getLogger("audit")
log.propagate = False
log.setLevel(logging.INFO)
log.addHandler(logging.handlers.MemoryHandler(150, flushLevel=logging.CRITICAL, target=logging.NullHandler()))


@pytest.mark.parametrize("user", ["ann"])
def test_audit(user):
    log.info("%s logged in", user, extra={"session": "s" * 50})
    assert log.handlers[0].buffer is not None
