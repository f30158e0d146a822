"""A callback of a future, which runs at once where the future is done, under the lock of whoever adds it."""
import threading
from concurrent.futures import Future

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

registry_lock, results_lock = threading.Lock(), threading.Lock()
registry, results = {}, []


def keep(future):
    with results_lock:  # SITE
        results.append(future.result())


def track(name, future):
    with registry_lock:  # SITE
        registry[name] = future
        future.add_done_callback(keep)


def publish():
    with results_lock:  # SITE
        with registry_lock:  # SITE
            return {name: future.result() for name, future in registry.items()}, list(results)


def test_track():
    future = Future()
    future.set_result(7)
    track("a", future)
    assert publish() == ({"a": 7}, [7])
