"""Much logging, captured by caplog."""
import logging

log = logging.getLogger("chatty")


def test_logs(caplog):
    caplog.set_level(logging.DEBUG)
    for i in range(100):
        log.debug("message %d: %s", i, "x" * 50)
    assert len(caplog.records) == 100
