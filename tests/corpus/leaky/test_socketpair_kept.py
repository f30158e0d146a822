"""Socket pairs kept for 'connection reuse' that never happens."""
import socket

LEAKS = "descriptors.leaked"
idle = []


def channel():
    pair = socket.socketpair()
    idle.append(pair)
    return pair


def test_channel():
    a, b = channel()
    a.sendall(b"ping")
    assert b.recv(4) == b"ping"
