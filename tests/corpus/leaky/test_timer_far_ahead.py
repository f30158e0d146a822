"""An expiry timer an hour ahead, not cancelled."""
import threading

LEAKS = "threads.leaked"


class Token:
    def __init__(self, ttl):
        self.valid = True
        self._timer = threading.Timer(ttl, self.expire)
        self._timer.daemon = True
        self._timer.start()

    def expire(self):
        self.valid = False


def test_token_is_valid():
    assert Token(3600).valid
