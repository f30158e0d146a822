"""Functions that a decorator locks call one another."""
import functools
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"


def locked(lock):
    def decorate(function):
        @functools.wraps(function)
        def call(*given):
            with lock:  # SITE
                return function(*given)

        return call

    return decorate


mail_lock, user_lock = threading.RLock(), threading.RLock()


@locked(user_lock)
def address(name):
    return f"{name}@example.org"


@locked(mail_lock)
def send(name):
    return f"to {address(name)}"


@locked(user_lock)
def register(name):
    return send(name)


def test_send_and_register():
    assert send("anna") == register("anna") == "to anna@example.org"
