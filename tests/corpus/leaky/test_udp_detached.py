"""A UDP socket detached from its object: only the number remains."""
import socket

LEAKS = "descriptors.leaked"


def udp_fd():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()


def test_udp():
    assert udp_fd() > 0
