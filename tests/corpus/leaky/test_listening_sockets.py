"""Servers bound to a free port, never closed."""
import socket

LEAKS = "descriptors.leaked"

_servers = []


def listen():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    _servers.append(s)
    return s.getsockname()[1]


def test_port():
    assert listen() > 0
