"""Callbacks that come back into the object whose lock is held, by the same thread."""
import threading


class Bus:
    def __init__(self):
        self.lock, self.handlers, self.log = threading.RLock(), [], []

    def on(self, handler):
        with self.lock:
            self.handlers.append(handler)

    def emit(self, event):
        with self.lock:
            self.log.append(event)
            for handler in list(self.handlers):
                handler(event)


def test_events_in_events():
    bus, seen_lock, seen = Bus(), threading.RLock(), []

    def handler(event):
        with seen_lock:
            seen.append(event)
            if event < 3:
                bus.emit(event + 1)  # the bus is held already: it is no order

    bus.on(handler)
    for thread in [threading.Thread(target=bus.emit, args=(0,)) for _ in range(2)]:
        thread.start()
        thread.join()
    assert seen == [0, 1, 2, 3] * 2
