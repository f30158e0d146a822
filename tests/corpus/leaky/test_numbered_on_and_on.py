"""Packets are numbered on and on; that colours come in turns changes nothing."""
import itertools
import uuid

LEAKS = "memory.growth"

numbers = itertools.count()
colours = itertools.cycle(range(900))
sent, last = {}, {}


def send(packet):
    last[next(colours)] = 1
    number = next(numbers)
    sent[number] = packet
    return number


def test_send():
    assert send(uuid.uuid4().hex) >= 0
