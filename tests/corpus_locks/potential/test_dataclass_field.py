"""A lock for each instance, made by a dataclass."""
import threading
from dataclasses import dataclass, field

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


@dataclass
class Room:
    name: str
    guests: set = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


def move(guest, source, target):
    with source.lock:  # SITE
        with target.lock:  # SITE
            source.guests.remove(guest)
            target.guests.add(guest)


def test_move():
    hall, bar = Room("hall", {"anna"}), Room("bar")
    move("anna", hall, bar)
    move("anna", bar, hall)
    assert (hall.guests, bar.guests) == ({"anna"}, set())
