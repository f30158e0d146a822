"""A pool for the whole session that opens connections as they are wanted, eight at most, taken in turn."""
import socket

import pytest


class Pool:
    def __init__(self, size):
        self.size = size
        self.idle = []
        self.opened = 0

    def take(self):
        if self.opened < self.size:
            self.opened += 1
            return socket.socketpair()
        return self.idle.pop(0)

    def give_back(self, pair):
        self.idle.append(pair)

    def close(self):
        for pair in self.idle:
            for end in pair:
                end.close()


@pytest.fixture(scope="session")
def pool():
    pool = Pool(8)
    yield pool
    pool.close()


def test_round_trip(pool):
    pair = pool.take()
    try:
        pair[0].sendall(b"ping")
        assert pair[1].recv(4) == b"ping"
    finally:
        pool.give_back(pair)
