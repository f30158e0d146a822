"""One connection in ten is dropped unclosed, by chance: a retry that forgets the first one."""
import random
import socket

LEAKS = "descriptors.leaked"
chance = random.Random(7)
dropped = []


def connect():
    first, second = socket.socketpair()
    second.close()
    if chance.random() < 0.1:  # timed out: tried again
        dropped.append(first)
        return connect()
    return first


def test_connect():
    with connect() as connection:
        assert connection.fileno() > 0
