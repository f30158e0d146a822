"""Connections linger for a third of a second in a thread of their own, then end by themselves."""
import threading
import time


class Connection:
    def __init__(self):
        self.closed = threading.Event()

    def close(self):
        self.closed.set()
        threading.Thread(target=self._linger, daemon=True).start()

    def _linger(self):
        time.sleep(0.3)


def test_close():
    connection = Connection()
    connection.close()
    assert connection.closed.is_set()
