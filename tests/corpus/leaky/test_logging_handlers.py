"""Adds one more handler to the same logger on each set-up."""
import io
import logging

LEAKS = "memory.growth"


def setup_logging():
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger


def test_logs():
    log = setup_logging()
    log.info("not shown")
    assert log.handlers
