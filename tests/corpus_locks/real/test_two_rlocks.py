"""Re-entrant locks of two objects that call each other back."""
import threading

FINDS = "locks.deadlocks"
COUNT = 1
NEEDS = "live"


class Peer:
    def __init__(self, both):
        self.lock, self.both, self.other, self.got = threading.RLock(), both, None, 0

    def call(self):
        with self.lock:
            self.both.wait(10)
            self.other.called()

    def called(self):
        with self.lock:  # SITE
            self.got += 1


def test_both_call():
    both = threading.Barrier(2)
    one, other = Peer(both), Peer(both)
    one.other, other.other = other, one
    threads = [threading.Thread(target=peer.call, daemon=True) for peer in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
