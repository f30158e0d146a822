"""Packets are numbered up to 900, and then from the beginning again; what was sent under a number is replaced."""
import itertools
import uuid

numbers = itertools.cycle(range(900))
sent = {}


def send(packet):
    number = next(numbers)
    sent[number] = packet
    return number


def test_send():
    assert send(uuid.uuid4().hex) < 900
