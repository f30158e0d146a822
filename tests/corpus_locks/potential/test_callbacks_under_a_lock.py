"""A subject calls its observers under its lock; one of them comes back in with its own lock held."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


class Subject:
    def __init__(self):
        self.lock, self.observers = threading.RLock(), []

    def attach(self, observer):
        with self.lock:  # SITE
            self.observers.append(observer)

    def notify(self, event):
        with self.lock:  # SITE
            for observer in self.observers:
                observer.saw(event)


class View:
    def __init__(self, subject):
        self.lock, self.subject, self.events = threading.Lock(), subject, []

    def open(self):
        with self.lock:  # SITE
            self.subject.attach(self)

    def saw(self, event):
        with self.lock:  # SITE
            self.events.append(event)


def test_a_view_sees():
    subject = Subject()
    view = View(subject)
    view.open()
    subject.notify("click")
    assert view.events == ["click"]
