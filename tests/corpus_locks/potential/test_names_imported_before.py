"""Locks made now, by a name that was imported before the plugin came."""
import early_locks

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


def send(session):
    with session.state:  # SITE
        with session.wire:  # SITE
            return "sent"


def close(session):
    with session.wire:  # SITE
        with session.state:  # SITE
            return "closed"


def test_send_and_close():
    session = early_locks.Session()
    assert (send(session), close(session)) == ("sent", "closed")
