"""The window of a protocol whose numbers wrap: 1024 slots, each filled again and again."""

import itertools

WINDOW = 0x3FF
slots = {}
numbers = itertools.count()


def receive(number, packet):
    slot = number & WINDOW
    slots[slot] = packet


def test_a_packet_is_kept_in_its_slot():
    number = next(numbers)
    receive(number, bytearray(200))
    assert len(slots[number & WINDOW]) == 200
