"""Two subclasses take what their base class has made, each in its own order."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Device:
    bus = threading.Lock()

    def __init__(self):
        self.lock, self.sent = threading.Lock(), []


class Disk(Device):
    def send(self, what):
        with self.lock, self.bus:  # SITE
            self.sent.append(what)


class Net(Device):
    def send(self, disk, what):
        with self.bus, disk.lock:  # SITE
            disk.sent.append(what)


def test_send():
    disk = Disk()
    disk.send("a")
    Net().send(disk, "b")
    assert disk.sent == ["a", "b"]
