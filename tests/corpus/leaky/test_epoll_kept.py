"""A selector per poller, kept open."""
import selectors

LEAKS = "descriptors.leaked"


class Poller:
    alive = []

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        Poller.alive.append(self)

    def poll(self):
        return self.selector.select(0)


def test_poll():
    assert Poller().poll() == []
