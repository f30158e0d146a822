"""A singleton is made under its class's lock, and asks for the settings, which ask for the singleton."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

settings_lock = threading.RLock()


class Once(type):
    lock = threading.RLock()

    def __call__(cls, *given):
        with Once.lock:  # SITE
            if "only" not in vars(cls):
                cls.only = super().__call__(*given)
            return cls.only


class Server(metaclass=Once):
    def __init__(self):
        with settings_lock:  # SITE
            self.port = 80


def set_port(port):
    with settings_lock:  # SITE
        Server().port = port


def test_set_port():
    assert Server().port == 80
    set_port(81)
    assert Server().port == 81
