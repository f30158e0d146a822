"""A pool of 80 sockets, one more for each request until then. A request takes its time, so that it is not soon full."""

import socket
import time


class Pool:
    most = 80

    def __init__(self):
        self.sockets = []
        self.at = 0

    def take(self):
        if len(self.sockets) < self.most:
            self.sockets.append(socket.socket())
        self.at = (self.at + 1) % len(self.sockets)
        return self.sockets[self.at]


pool = Pool()


def test_one_is_taken():
    assert pool.take().fileno() >= 0
    time.sleep(0.03)
