"""A log handler that is slow holds up everybody who logs."""
import logging
import threading
import time

FINDS = "locks.contention"
COUNT = 1
NEEDS = "contention"

log = logging.getLogger("corpus.slow")


class Slow(logging.Handler):
    lines = 0

    def emit(self, record):
        time.sleep(0.01)
        self.lines += 1


def work():
    for number in range(5):
        log.warning("line %d", number)  # SITE


def test_four_log():
    handler = Slow()
    log.addHandler(handler)
    log.propagate = False
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.removeHandler(handler)
    log.propagate = True
    assert handler.lines == 20
