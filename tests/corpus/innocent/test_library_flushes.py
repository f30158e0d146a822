"""A handler of the standard library's that flushes itself: nothing in sight takes anything out of its buffer."""
import logging
import logging.handlers
import time

logger = logging.getLogger("batches")
logger.propagate = False
logger.setLevel(logging.INFO)
handler = logging.handlers.MemoryHandler(100, target=logging.NullHandler())
logger.addHandler(handler)


def test_batch():
    time.sleep(0.002)
    logger.info("batch %s", "x" * 1000)
