"""Callbacks of weak references and finalizers that take a lock which nobody holds then."""
import threading
import weakref


class Registry:
    def __init__(self):
        self.lock, self.names = threading.RLock(), {}

    def add(self, name, thing):
        with self.lock:
            self.names[name] = weakref.ref(thing, lambda _: self.drop(name))

    def drop(self, name):
        with self.lock:
            self.names.pop(name, None)


class Thing:
    pass


def test_drop():
    registry = Registry()

    def work(number):
        thing = Thing()
        registry.add(number, thing)
        del thing

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.names == {}
